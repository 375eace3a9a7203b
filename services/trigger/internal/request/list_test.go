package request_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/request"
)

func ids(documents []request.Document) []string {
	names := []string{}
	for _, d := range documents {
		names = append(names, d.ID)
	}
	return names
}

func TestListIsNewestFirstByTheFirstTimeThatIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine := tracked("mine", contract.StatusCompleted)
	mine.CreatedAt, mine.StartedAt = ago(3*time.Hour), ago(time.Minute)
	started := tracked("started", contract.StatusRunning)
	started.StartedAt = ago(2 * time.Hour)
	failed := tracked("failed", contract.StatusFailed)
	failed.FinishedAt = ago(4 * time.Hour)
	for _, d := range []request.Document{mine, started, failed, tracked("waiting", contract.StatusPending)} {
		w.docs.add(d)
	}
	page, err := w.desk.List(t.Context(), instance, 10, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"waiting", "started", "mine", "failed"}, ids(page.Documents)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if page.Total != 4 || page.Next != "" {
		t.Errorf("total %d, next %q", page.Total, page.Next)
	}
}

func TestPagesShowEachMigrationOnceWhateverIsAdded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := ago(time.Hour)
	for n := range 23 { // ten of them at the same time
		d := tracked(fmt.Sprintf("m%02d", n), contract.StatusCompleted)
		d.CreatedAt = at
		if n%2 == 0 {
			d.CreatedAt = ago(time.Duration(n) * time.Hour)
		}
		w.docs.add(d)
	}
	seen, cursor := map[string]int{}, ""
	for pages := 0; pages == 0 || cursor != ""; pages++ {
		page, err := w.desk.List(t.Context(), instance, 5, cursor)
		if err != nil || pages > 4 {
			t.Fatalf("page %d: %v", pages, err)
		}
		for _, d := range page.Documents {
			seen[d.ID]++
		}
		newer := tracked(fmt.Sprint("new", pages), contract.StatusFailed)
		newer.CreatedAt = ago(0)
		w.docs.add(newer)
		cursor = page.Next
	}
	if len(seen) != 23 {
		t.Errorf("%d migrations were seen, want 23", len(seen))
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%s was seen %d times", id, times)
		}
	}
}

func TestListRefusesWhatIsNoPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		limit  int
		cursor string
	}{{0, ""}, {-1, ""}, {101, ""}, {5, "%%%"}, {5, "e30"}, {5, "bm8"}} {
		_, err := w.desk.List(t.Context(), instance, c.limit, c.cursor)
		wantCode(t, err, request.CodeInvalid)
	}
	page, err := w.desk.List(t.Context(), instance, 100, "")
	if err != nil || len(page.Documents) != 0 {
		t.Errorf("an empty instance: %v, %v", page, err)
	}
}
