package cozy_test

import (
	"testing"

	"example.org/ncm/pkg/cozy"
)

func TestEmptyDirLooksForOneEntry(t *testing.T) {
	t.Parallel()
	_, _, i := simulate(t)
	dir, err := i.MakeDir(t.Context(), cozy.RootDirID, "d", cozy.Times{})
	if err != nil {
		t.Fatal(err)
	}
	if empty, err := i.EmptyDir(t.Context(), dir.ID); err != nil || !empty {
		t.Errorf("new folder: empty %v, %v", empty, err)
	}
	if _, err := i.MakeDir(t.Context(), dir.ID, "below", cozy.Times{}); err != nil {
		t.Fatal(err)
	}
	if empty, err := i.EmptyDir(t.Context(), dir.ID); err != nil || empty {
		t.Errorf("folder with a folder: empty %v, %v", empty, err)
	}
	if _, err := i.EmptyDir(t.Context(), "nothing"); !cozy.IsNotFound(err) {
		t.Errorf("missing folder: %v", err)
	}
}
