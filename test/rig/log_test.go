package rig_test

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/test/rig"
)

func TestALogFindsMessagesBetweenOtherLines(t *testing.T) {
	t.Parallel()
	var log rig.Log
	for _, part := range []string{`{"msg":"listening","site":"a"}` + "\n", "no JSON\n", `{"msg":"lis`, `tening","site":"b"}` + "\n", `{"msg":"other"}` + "\n"} {
		if _, err := io.WriteString(&log, part); err != nil {
			t.Fatal(err)
		}
	}
	want := []map[string]any{{"msg": "listening", "site": "a"}, {"msg": "listening", "site": "b"}}
	if diff := cmp.Diff(want, log.All("listening")); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	const end = `{"msg":"listening","site":"b"}` + "\n" + `{"msg":"other"}` + "\n"
	if diff := cmp.Diff(end, log.Tail(2)); diff != "" {
		t.Errorf("tail (-want +got):\n%s", diff)
	}
}
