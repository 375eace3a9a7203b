package nextcloudtest_test

import (
	"strings"
	"testing"

	"example.org/ncm/pkg/transcripttest"
)

type exchange = transcripttest.NextcloudExchange

func readTranscript(t *testing.T, name string) []exchange {
	t.Helper()
	all := transcripttest.Nextcloud(t, name)
	for i := range all { // long runs of letters were taken for secrets
		all[i].Text = strings.ReplaceAll(all[i].Text, transcripttest.Secret, "redacted")
	}
	return all
}

// unusual says that no request or no answer was recorded.
func unusual(x exchange) bool { return x.Method == "" || x.Status == 0 }
