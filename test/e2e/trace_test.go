package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// span is one as a collector got it.
type span struct {
	service, name, trace, id, parent string
	attributes                       string
}

// collector takes spans by OTLP over HTTP.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []span
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := new(collectorpb.ExportTraceServiceRequest)
		if err == nil {
			err = proto.Unmarshal(body, request)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Key") != "planted-collector-key" {
			t.Errorf("%s %s with key %q: %v", r.Method, r.URL, r.Header.Get("X-Key"), err)
		}
		c.add(request)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) add(request *collectorpb.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		service := ""
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, span{
					service: service, name: s.GetName(), trace: fmt.Sprintf("%x", s.GetTraceId()),
					id: fmt.Sprintf("%x", s.GetSpanId()), parent: fmt.Sprintf("%x", s.GetParentSpanId()), attributes: s.String(),
				})
			}
		}
	}
}

// named gives the spans of a service whose name begins with a word; all for "".
func (c *collector) named(service, word string) (found []span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if (service == "" || s.service == service) && strings.HasPrefix(s.name, word) {
			found = append(found, s)
		}
	}
	return found
}

// settings are those of a service that exports to the collector soon.
func (c *collector) settings() rig.Env {
	return rig.Env{
		"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_EXPORTER_OTLP_HEADERS": "X-Key=planted-collector-key", "OTEL_BSP_SCHEDULE_DELAY": "100",
	}
}

func TestAMigrationIsOneTraceThroughBothServicesAndWhoeverWorksOnIt(t *testing.T) {
	t.Parallel()
	r, traces := backends.New(t), startCollector(t)
	alice, cozy := r.AddUser("alice"), r.AddInstance(host)
	const folder, files = "planted-folder", 400
	r.Generate(alice, folder, files, 500)
	slowUploads(r, cozy, 50)
	first, trigger := r.StartMigrator(traces.settings()), r.StartTrigger(traces.settings())

	id := trigger.MustStart(t, cozy, r.Order(alice))
	rig.Await(t, time.Minute, "midway", func() bool {
		return rig.Value[int64](t, r.Ledger, "SELECT files_done FROM migration WHERE id = $1", id) > 20
	})
	first.Stop(t)
	second := r.StartMigrator(traces.settings())
	r.HealCozy()
	cozy.AwaitStatus(id, contract.StatusCompleted, time.Minute)
	rig.Await(t, time.Minute, "both slices in the trace", func() bool { return len(traces.named("migrator", "slice")) >= 2 })

	requests := traces.named("trigger", "POST "+rig.MigrationsPath)
	if len(requests) != 1 {
		t.Fatalf("%d spans of the request, want 1", len(requests))
	}
	request := requests[0]
	for _, want := range []struct{ service, word string }{
		{"trigger", "GET source"},
		{"trigger", "POST target"},
		{"trigger", "publish " + contract.KeyRequested},
		{"migrator", "process migrator.nextcloud.requested"},
		{"migrator", "slice"},
		{"migrator", "PROPFIND source"},
		{"migrator", "POST target"},
		{"migrator", "query"},
	} {
		found := traces.named(want.service, want.word)
		if len(found) == 0 {
			t.Errorf("no span %q of the %s", want.word, want.service)
		}
		for _, s := range found {
			if s.trace != request.trace {
				t.Errorf("%s of the %s is of another trace", s.name, s.service)
			}
		}
	}
	taken := traces.named("migrator", "process migrator.nextcloud.requested")
	for _, s := range traces.named("migrator", "slice") {
		if len(taken) != 1 || s.parent != taken[0].id {
			t.Errorf("a slice's parent is %s, want the message's %+v", s.parent, taken)
		}
	}
	if n := len(traces.named("", "")); n > 2*(100+20)+60 {
		t.Errorf("%d spans for %d files", n, files)
	}
	for _, s := range traces.named("", "") {
		if strings.Contains(s.attributes, "planted") {
			t.Errorf("a file, a login or a password is in the span %s", s.attributes)
		}
	}
	for _, service := range []*rig.Service{first, second} {
		for _, line := range service.Log.All("slice started") {
			if line["trace_id"] != request.trace || line["migration"] != id {
				t.Errorf("log line %v of %s, want trace %s and migration %s", line, service.Name, request.trace, id)
			}
		}
	}
}
