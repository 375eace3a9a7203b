package transfer_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"example.org/ncm/services/migrator/internal/transfer"
)

func TestABatchThatACutInterruptsIsStillRecorded(t *testing.T) {
	t.Parallel()
	b := newBench(map[string]string{"a": "1", "b": "2", "c": "3"})
	cause := errors.New("canceled by a test")
	ctx, cancel := context.WithCancelCause(t.Context())
	var first sync.Once
	b.ledger.Fault = func(call string) (err error) {
		if call == "record" {
			first.Do(func() {
				cancel(cause)
				err = context.Canceled // as a database driver says it
			})
		}
		return err
	}
	if _, err := b.run(ctx); !errors.Is(err, cause) {
		t.Fatalf("error %v", err)
	}
	results := b.ledger.Results()
	for name := range b.target.Tree() {
		if results[name].Outcome != transfer.Done {
			t.Errorf("%s is in the target and not recorded: %+v", name, results[name])
		}
	}
}
