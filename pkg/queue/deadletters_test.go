package queue_test

import (
	"errors"
	"testing"

	"example.org/ncm/pkg/queue"
)

func (b *bench) deadLetters(t *testing.T) *queue.DeadLetters {
	t.Helper()
	d, err := queue.NewDeadLetters(queue.DeadLettersConfig{URL: b.url, Topology: b.topology})
	if err != nil {
		t.Fatalf("NewDeadLetters: %v", err)
	}
	return d
}

// letters waits for a number of dead letters.
func (b *bench) letters(t *testing.T, n int) []queue.DeadLetter {
	t.Helper()
	d := b.deadLetters(t)
	var letters []queue.DeadLetter
	eventually(t, "dead letters are there", func() bool {
		var err error
		if letters, err = d.List(t.Context(), 100); err != nil {
			t.Fatalf("List: %v", err)
		}
		return len(letters) >= n
	})
	if len(letters) != n {
		t.Fatalf("%d dead letters, want %d", len(letters), n)
	}
	return letters
}

// dead makes dead letters of these ids.
func (b *bench) dead(t *testing.T, ids ...string) {
	t.Helper()
	r := newRecorder()
	for range ids {
		r.answers <- queue.Dead("test")
	}
	_, stop := b.consuming(t, r.handle, nil)
	for _, id := range ids {
		b.send(t, keyRequested, id, "{}")
	}
	b.letters(t, len(ids))
	stop()
}

func is(id string) func(queue.DeadLetter) bool {
	return func(l queue.DeadLetter) bool { return l.MessageID == id }
}

func TestListLeavesTheLettersHoweverOften(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dead(t, "a", "b")

	for range 30 {
		b.letters(t, 2)
	}
}

func TestListStopsAtItsBound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dead(t, "a", "b", "c")

	letters, err := b.deadLetters(t).List(t.Context(), 2)

	if err != nil || len(letters) != 2 {
		t.Errorf("List = %d letters, %v; want 2", len(letters), err)
	}
}

func TestReplaySendsTheMessageAsItFirstWas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dead(t, "a", "b")

	n, err := b.deadLetters(t).Replay(t.Context(), 100, is("b"))

	if n != 1 || err != nil {
		t.Fatalf("Replay = %d, %v; want 1", n, err)
	}
	got, ok, err := b.admin.Get(b.topology.Bindings[0].Queue, true)
	if err != nil || !ok {
		t.Fatalf("Get = %v, %v; want the message back in its queue", ok, err)
	}
	if got.MessageId != "b" || got.RoutingKey != keyRequested || len(got.Headers) != 0 || got.DeliveryMode != 2 {
		t.Errorf("replayed %+v, want b under its key without headers", got)
	}
	eventually(t, "the other letter is put back", func() bool { return b.waiting(t, b.topology.DeadQueue) == 1 })
	if left := b.letters(t, 1); left[0].MessageID != "a" {
		t.Errorf("left: %q, want a", left[0].MessageID)
	}
}

func TestALetterThatDiesAgainIsSentOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dead(t, "a", "b")
	if err := b.admin.QueueBind(b.topology.DeadQueue, keyRequested, b.topology.Exchange, false, nil); err != nil {
		t.Fatalf("bind queue: %v", err)
	}

	n, err := b.deadLetters(t).Replay(t.Context(), 100, func(queue.DeadLetter) bool { return true })

	if n != 2 || err != nil {
		t.Errorf("Replay = %d, %v; want 2", n, err)
	}
	b.letters(t, 2)
}

func TestReplayKeepsALetterThatNobodyTakes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dead(t, "a")
	if _, err := b.admin.QueueDelete(b.topology.Bindings[0].Queue, false, false, false); err != nil {
		t.Fatalf("delete queue: %v", err)
	}

	n, err := b.deadLetters(t).Replay(t.Context(), 100, is("a"))

	if n != 0 || !errors.Is(err, queue.ErrUnroutable) {
		t.Errorf("Replay = %d, %v; want ErrUnroutable", n, err)
	}
	b.letters(t, 1)
}

func TestDropDeletesOnlyWhatMatches(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dead(t, "a", "b")

	n, err := b.deadLetters(t).Drop(t.Context(), 100, is("a"))

	if n != 1 || err != nil {
		t.Fatalf("Drop = %d, %v; want 1", n, err)
	}
	if left := b.letters(t, 1); left[0].MessageID != "b" {
		t.Errorf("left: %q, want b", left[0].MessageID)
	}
}
