package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// Listener is called for notifications, in the order that they come.
type Listener struct {
	Work     func()          // a migration may have become due
	Canceled func(id string) // a cancellation of that migration was recorded
}

// quiet is how long a listening connection may say nothing before it is asked
// whether it is still there.
const quiet = 10 * time.Second

// Listen calls the listener until ctx ends or the connection breaks. What comes
// while nobody listens is lost: renewals and polling find it later.
func (l *Ledger) Listen(ctx context.Context, on Listener) error {
	pooled, err := l.pool.Acquire(ctx)
	if err != nil {
		return classify(err)
	}
	conn := pooled.Hijack() // a listening connection must not serve others
	defer func() {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(bye) // the server notices a missing goodbye too
	}()
	for _, channel := range []string{channelWork, channelCanceled} {
		if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
			return classify(err)
		}
	}
	on.Work() // what was notified before now is found by looking once
	for {
		if err := wait(ctx, conn, on); err != nil {
			return classify(err)
		}
	}
}

// wait handles one notification, or makes sure that the connection lives.
func wait(ctx context.Context, conn *pgx.Conn, on Listener) error {
	waiting, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	n, err := conn.WaitForNotification(waiting)
	switch {
	case err == nil && n.Channel == channelCanceled:
		on.Canceled(n.Payload)
	case err == nil:
		on.Work()
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		alive, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		return conn.Ping(alive)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}
