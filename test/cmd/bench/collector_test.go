package main

import (
	"net/http"
	"strings"
	"testing"
)

func TestTheCollectorTellsWhetherSpansArrived(t *testing.T) {
	t.Parallel()
	c, err := startCollector(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if c.arrived() == nil {
		t.Error("spans arrived before any was sent")
	}
	endpoint := strings.TrimPrefix(c.settings()[0], "OTEL_EXPORTER_OTLP_ENDPOINT=")
	res, err := http.Post(endpoint+"/v1/traces", "application/x-protobuf", strings.NewReader("spans"))
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	res.Body.Close()
	if err := c.arrived(); err != nil {
		t.Error(err)
	}
	if c.arrived() == nil {
		t.Error("the same spans count again")
	}
}
