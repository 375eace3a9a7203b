package request_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/request"
)

func number(n int64) *int64 { return &n }

func TestPreflightTellsWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, c := range map[string]struct {
		prepare func(w *world)
		want    []request.Obstacle
		fits    *bool
	}{
		"nothing": {func(*world) {}, nil, &yes},
		"just fits": {func(w *world) {
			w.targets.space = request.Space{Used: 60, Quota: 100}
			w.sources.onMeasure = func(string) (request.Amount, error) { return request.Amount{Bytes: number(40)}, nil }
		}, nil, &yes},
		"too large": {func(w *world) {
			w.targets.space = request.Space{Used: 60, Quota: 100}
			w.sources.onMeasure = func(string) (request.Amount, error) { return request.Amount{Bytes: number(41)}, nil }
		}, []request.Obstacle{request.ObstacleQuota}, &no},
		"over quota": {func(w *world) {
			w.targets.space = request.Space{Used: 160, Quota: 100}
			w.sources.onMeasure = func(string) (request.Amount, error) { return request.Amount{Bytes: number(0)}, nil }
		}, nil, &yes},
		"size unknown":  {func(w *world) { w.targets.space = request.Space{Quota: 100} }, nil, nil},
		"active":        {func(w *world) { w.docs.add(tracked("m1", contract.StatusRunning)) }, []request.Obstacle{request.ObstacleActive}, &yes},
		"target a file": {func(w *world) { w.targets.folder = request.Folder{Exists: true, File: true} }, []request.Obstacle{request.ObstacleTarget}, &yes},
		"source missing": {func(w *world) {
			w.sources.onMeasure = func(string) (request.Amount, error) { return request.Amount{}, request.ErrNotFound }
		}, []request.Obstacle{request.ObstacleMissing}, &yes},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.prepare(w)
			before := len(w.docs.docs)
			p, err := w.desk.Preflight(t.Context(), instance, order())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, p.Obstacles); diff != "" {
				t.Errorf("obstacles (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.fits, p.Fits()); diff != "" {
				t.Errorf("fits (-want +got):\n%s", diff)
			}
			if len(w.docs.docs) != before || len(w.saved) != 0 || len(w.queue.sent) != 0 {
				t.Error("something was written")
			}
		})
	}
}

func TestPreflightFailsAsTheRequestWould(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.desk.Preflight(t.Context(), instance, request.Order{})
	wantCode(t, err, request.CodeInvalid)
	w.login = func(context.Context, contract.AccountAuth) (string, error) {
		return "", &request.Error{Code: request.CodeBadCredentials}
	}
	_, err = w.desk.Preflight(t.Context(), instance, order())
	wantCode(t, err, request.CodeBadCredentials)
	w = newWorld(t)
	w.targets.err = errors.New("stack is away")
	_, err = w.desk.Preflight(t.Context(), instance, order())
	wantCode(t, err, request.CodeInternal)
}

func TestLoginsAreNotCheckedBeyondTheLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.limits = func(gotInstance, url, login string) time.Duration {
		if gotInstance != instance || url != "https://cloud.example/" || login != "joe" {
			t.Errorf("counted for %s, %s, %s", gotInstance, url, login)
		}
		return 7 * time.Second
	}
	w.login = func(context.Context, contract.AccountAuth) (string, error) {
		t.Error("the login was checked")
		return "", nil
	}
	_, err := w.start(t.Context())
	wantCode(t, err, request.CodeTooMany)
	known, _ := errors.AsType[*request.Error](err)
	if known.RetryAfter != 7*time.Second {
		t.Errorf("retry after %s", known.RetryAfter)
	}
	_, err = w.desk.Preflight(t.Context(), instance, order())
	wantCode(t, err, request.CodeTooMany)
}
