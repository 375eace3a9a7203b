package cozytest_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/cozytest"
)

const content = "some bytes of content"

func TestFaultsThatEndTheConnection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		fault   cozytest.Fault
		created bool
	}{
		{"reset before body", cozytest.Fault{ResetBeforeBody: true}, false},
		{"reset in mid body", cozytest.Fault{ResetMidBody: true}, false},
		{"answer lost after the work", cozytest.Fault{AfterCommit: true}, true},
		{"answer cut", cozytest.Fault{CutAnswer: true}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
			injected := b.stack.Inject(c.fault)
			answer, err := b.send(b.request(t.Context(), http.MethodPost, inRoot+"?Type=file&Name=f", strings.NewReader(content)))
			if err == nil {
				t.Errorf("the answer arrived: %d %s", answer.StatusCode, answer.body)
			}
			if injected.Hits() == 0 {
				t.Error("the fault hit nothing")
			}
			if _, created := b.inst.Lookup("/f"); created != c.created {
				t.Errorf("file created: %v, want %v", created, c.created)
			}
		})
	}
}

func TestFaultCorruptsAByte(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	b.stack.Inject(cozytest.Fault{Method: http.MethodPost, CorruptByte: 2})
	b.expect(http.StatusCreated, http.MethodPost, inRoot+"?Type=file&Name=f", content)
	stored, _ := b.inst.Lookup("/f")
	wrong := []byte(content)
	wrong[1] ^= 0xff
	if sum := md5.Sum(wrong); stored.MD5 != hex.EncodeToString(sum[:]) {
		t.Errorf("stored is %x, want %x", stored.MD5, sum)
	}
}

func TestFaultAnswersInPlaceOfTheWork(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	injected := b.stack.Inject(cozytest.Fault{
		Method: http.MethodPost, PathPrefix: "/files/", QueryContains: "Type=file", Skip: 1, Times: 2,
		Status: http.StatusTooManyRequests, Body: "slow down", RetryAfter: "7",
	})
	b.expect(http.StatusCreated, http.MethodPost, inRoot+"?Type=directory&Name=d", "")
	b.expect(http.StatusCreated, http.MethodPost, inRoot+"?Type=file&Name=0", content)
	for range 2 {
		answer := b.expect(http.StatusTooManyRequests, http.MethodPost, inRoot+"?Type=file&Name=1", content)
		if answer.body != "slow down" || answer.Header.Get("Retry-After") != "7" {
			t.Errorf("answer %q, Retry-After %q", answer.body, answer.Header.Get("Retry-After"))
		}
	}
	b.expect(http.StatusCreated, http.MethodPost, inRoot+"?Type=file&Name=1", content)
	if injected.Hits() != 2 {
		t.Errorf("%d hits, want 2", injected.Hits())
	}
}

func TestFaultAnswersEarlyWithoutReadingTheBody(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	b.stack.Inject(cozytest.Fault{Status: http.StatusServiceUnavailable, AnswerEarly: true})
	body, feed := io.Pipe()
	defer feed.Close()
	request := b.request(t.Context(), http.MethodPost, inRoot+"?Type=file&Name=f", body)
	answer, err := b.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", answer.StatusCode)
	}
}

func TestFaultHangsUntilTheClientGivesUp(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	injected := b.stack.Inject(cozytest.Fault{Hang: true, Times: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := b.send(b.request(ctx, http.MethodPost, inRoot+"?Type=file&Name=f", strings.NewReader(content)))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline", err)
	}
	if injected.Hits() != 1 {
		t.Errorf("%d hits", injected.Hits())
	}
	b.expect(http.StatusCreated, http.MethodPost, inRoot+"?Type=file&Name=f", content)
}

func TestFaultLosesTheAnswerBehindAStatus(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	b.stack.Inject(cozytest.Fault{AfterCommit: true, Status: http.StatusBadGateway, Times: 1})
	b.expect(http.StatusBadGateway, http.MethodPost, inRoot+"?Type=file&Name=f", content)
	b.expect(http.StatusConflict, http.MethodPost, inRoot+"?Type=file&Name=f", content)
}

func TestFaultDelaysAndSlows(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	b.stack.Inject(cozytest.Fault{DelayMS: 30, Times: 1})
	start := time.Now()
	b.expect(http.StatusCreated, http.MethodPost, inRoot+"?Type=file&Name=1", content)
	if took := time.Since(start); took < 30*time.Millisecond {
		t.Errorf("took %v, want 30 ms at least", took)
	}
	const size, perSecond = 96 << 10, 512 << 10 // a burst of 32 KiB goes at once
	b.stack.Inject(cozytest.Fault{BytesPerSecond: perSecond, Times: 1})
	start = time.Now()
	b.expect(http.StatusCreated, http.MethodPost, inRoot+"?Type=file&Name=2", strings.Repeat("x", size))
	if took := time.Since(start); took < 100*time.Millisecond {
		t.Errorf("%d bytes took %v at %d bytes a second", size, took, perSecond)
	}
}

func TestFaultsComeToTheTokenAPIs(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{ClouderyToken: "c", ClouderyHost: "cloudery.example"}, cozytest.InstanceOptions{})
	b.stack.Inject(cozytest.Fault{PathPrefix: "/api/public", Status: http.StatusInternalServerError, Times: 1})
	ask := func() int {
		request := b.request(t.Context(), http.MethodPost, "/api/public/instances/"+host+"/token",
			strings.NewReader(`{"audience":"app","subject":"settings"}`))
		request.Host = "cloudery.example"
		request.Header.Set("Authorization", "Bearer c")
		answer, err := b.send(request)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode
	}
	if first, second := ask(), ask(); first != http.StatusInternalServerError || second != http.StatusOK {
		t.Errorf("statuses %d and %d", first, second)
	}
}

func TestRemovedFaultsDisturbNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	one := b.stack.Inject(cozytest.Fault{Status: http.StatusTeapot})
	b.expect(http.StatusTeapot, http.MethodGet, inRoot, "")
	one.Remove()
	b.expect(http.StatusOK, http.MethodGet, inRoot, "")
	b.stack.Inject(cozytest.Fault{Status: http.StatusTeapot})
	b.stack.ClearFaults("")
	b.expect(http.StatusOK, http.MethodGet, inRoot, "")
}
