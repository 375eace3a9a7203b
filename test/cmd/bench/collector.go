package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// exportEvery is how often a traced migrator sends its spans: the default of five
// seconds would leave the last ones out of a short lap.
const exportEvery = 500 * time.Millisecond

// collector takes spans by OTLP over HTTP and drops them.
type collector struct {
	server http.Server
	addr   string
	bytes  atomic.Int64 // of spans
}

func startCollector(ctx context.Context) (*collector, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &collector{addr: listener.Addr().String()}
	c.server.ReadHeaderTimeout = time.Minute
	c.server.Handler = http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		n, _ := io.Copy(io.Discard, req.Body)
		c.bytes.Add(n)
	})
	go func() { _ = c.server.Serve(listener) }() // until close
	return c, nil
}

// settings have a service send its spans.
func (c *collector) settings() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.addr, "OTEL_BSP_SCHEDULE_DELAY=" + fmt.Sprint(exportEvery.Milliseconds())}
}

// arrived is an error unless there were spans since the last call.
func (c *collector) arrived() error {
	if c.bytes.Swap(0) == 0 {
		return errors.New("no span arrived")
	}
	return nil
}

func (c *collector) close() { _ = c.server.Close() }
