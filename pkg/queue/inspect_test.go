package queue_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/queue"
)

func TestInspectTellsWhatIsThereAndWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cfg := queue.InspectConfig{URL: b.url, Topology: b.topology}
	if _, err := queue.Inspect(t.Context(), cfg); !errors.Is(err, queue.ErrMissing) || !strings.Contains(queue.Advice(err), "start a migrator") {
		t.Errorf("nothing is declared yet: %v", err)
	}
	if err := queue.Declare(t.Context(), b.url, b.topology); err != nil {
		t.Fatal(err)
	}
	states, err := queue.Inspect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range states {
		names = append(names, fmt.Sprint(s.Queue, s.Messages, s.Consumers))
	}
	want := []string{b.topology.Bindings[0].Queue + "0 0", b.topology.Bindings[1].Queue + "0 0", b.topology.DeadQueue + "0 0"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

func TestAdviceNamesTheSettingAndNoSecret(t *testing.T) {
	t.Parallel()
	good := brokerURL(t)
	u, err := url.Parse(good)
	if err != nil {
		t.Fatal("TEST_AMQP_URL is malformed")
	}
	for name, tc := range map[string]struct{ url, want string }{
		"wrong password": {"amqp://test:planted-password@" + u.Host + "/", "refuses the user or the password"},
		"no such vhost":  {strings.TrimRight(good, "/") + "/nowhere", "virtual host"},
		"no answer":      {"amqp://test:planted-password@127.0.0.1:1/", "does not answer"},
		"no such host":   {"amqp://test:planted-password@broker.invalid/", "has no address"},
	} {
		_, err := queue.Inspect(t.Context(), queue.InspectConfig{URL: tc.url, Topology: queue.NewTopology(0, true)})
		if advice := queue.Advice(err); err == nil || !strings.Contains(advice, tc.want) || strings.Contains(advice+err.Error(), "planted-password") {
			t.Errorf("%s: advice %q for %v", name, advice, err)
		}
	}
}

// recorded is an answer of RabbitMQ 4.0's management API; the binding to the
// exchange is added where there is one.
func recorded(queue, key string) string {
	form := `{"source":%q,"vhost":"/","destination":%q,"destination_type":"queue","routing_key":%q,"arguments":{},"properties_key":%q}`
	all := fmt.Sprintf(form, "", queue, queue, queue)
	if key != "" {
		all += "," + fmt.Sprintf(form, "migration", queue, key, key)
	}
	return "[" + all + "]"
}

func TestUnboundQueuesAreFound(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		requested, canceled string
		want                []string
	}{
		"bound":      {"nextcloud.migration.requested", "nextcloud.migration.canceled", nil},
		"by pattern": {"nextcloud.#", "*.migration.canceled", nil},
		"one is not": {"", "nextcloud.migration.canceled", []string{queue.QueueRequested}},
		"other keys": {"nextcloud.migration", "nextcloud.migration.*.more", []string{queue.QueueRequested, queue.QueueCanceled}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				user, password, _ := r.BasicAuth()
				keys := map[string]string{queue.QueueRequested: tc.requested, queue.QueueCanceled: tc.canceled}
				for q, key := range keys {
					if r.URL.EscapedPath() == "/api/queues/%2F/"+q+"/bindings" && user == "u" && password == "p" {
						_, _ = io.WriteString(w, recorded(q, key))
						return
					}
				}
				http.NotFound(w, r)
			}))
			defer api.Close()
			missing, err := queue.Unbound(t.Context(), queue.InspectConfig{
				URL: "amqp://u:p@broker/", Topology: queue.NewTopology(0, false), Management: api.URL + "/", HTTP: api.Client(),
			})
			var names []string
			for _, b := range missing {
				names = append(names, b.Queue)
			}
			if diff := cmp.Diff(tc.want, names); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}
