package nextcloud

import (
	"context"
	"errors"
	"time"
)

// watchdog cancels a request whose connection is silent for too long. It is
// armed only while we wait for the source, so a slow target does not count.
type watchdog struct {
	parent context.Context // the caller's
	ctx    context.Context // the request's
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
}

func watch(parent context.Context, idle time.Duration) *watchdog {
	w := &watchdog{parent: parent, idle: idle}
	w.ctx, w.cancel = context.WithCancelCause(parent)
	w.timer = time.AfterFunc(idle, func() { w.cancel(errStalled) })
	w.timer.Stop()
	return w
}

func (w *watchdog) arm()    { w.timer.Reset(w.idle) }
func (w *watchdog) disarm() { w.timer.Stop() }

// release ends the request and frees what it holds.
func (w *watchdog) release() {
	w.timer.Stop()
	w.cancel(nil)
}

// explain names the silence behind a cancelled request.
func (w *watchdog) explain(err error) error {
	if err != nil && errors.Is(context.Cause(w.ctx), errStalled) {
		return errStalled
	}
	return err
}
