package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/service"
)

func TestTheDebugServerListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for addr, allowed := range map[string]bool{
		"": true, "127.0.0.1:6060": true, "[::1]:6060": true, "127.9.9.9:0": true,
		":6060": false, "0.0.0.0:6060": false, "10.0.0.1:6060": false, "localhost:6060": false, "debug.example:1": false,
		"[::]:6060": false, "127.0.0.1": false, "6060": false,
	} {
		if err := (&service.DebugSettings{DebugAddr: addr}).Validate(); (err == nil) != allowed {
			t.Errorf("%q: %v", addr, err)
		}
	}
}

func TestTheDebugServerShowsProfilesAndIsOffByDefault(t *testing.T) {
	t.Parallel()
	if parts, err := new(service.DebugSettings).Parts(t.Context(), quiet()); len(parts) != 0 || err != nil {
		t.Errorf("%d parts, %v by default", len(parts), err)
	}
	var log bytes.Buffer
	s := service.DebugSettings{DebugAddr: "127.0.0.1:0"}
	parts, err := s.Parts(t.Context(), slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	var line struct{ Address string }
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() { end <- service.Run(ctx, quiet(), time.Second, parts...) }()
	body, err := get(t, "http://"+line.Address+"/debug/pprof/goroutine?debug=1")
	if err != nil || !strings.Contains(body, "goroutine profile:") {
		t.Errorf("profile %.100q, %v", body, err)
	}
	stop()
	if err := receive(t, "end", end); err != nil {
		t.Error(err)
	}
}
