package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.org/ncm/services/trigger/internal/request"
)

// A body is refused with words that quote nothing of it, or read as what it says.
func FuzzReadOrder(f *testing.F) {
	f.Add([]byte(`{"nextcloud_url":"https://cloud.example","nextcloud_login":"alice","nextcloud_app_password":"p"}`), "application/json")
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		read := func(body []byte) (request.Order, error) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, migrations, strings.NewReader(string(body)))
			r.Header.Set("Content-Type", contentType)
			return readOrder(httptest.NewRecorder(), r)
		}
		order, err := read(body)
		if err != nil {
			p := problemOf(err)
			if p.status != http.StatusBadRequest && p.status != http.StatusRequestEntityTooLarge || order != (request.Order{}) {
				t.Errorf("refused as %d, with %+v", p.status, order)
			}
			return
		}
		again, err := json.Marshal(map[string]string{
			"nextcloud_url": order.URL, "nextcloud_login": order.Login, "nextcloud_app_password": order.Password,
			"source_path": order.SourcePath, "target_dir": order.TargetDir,
		})
		if err != nil || len(again) > maxBody {
			return // escapes made it longer
		}
		if back, err := read(again); err != nil || back != order {
			t.Errorf("%+v comes back as %+v, %v", order, back, err)
		}
	})
}

// A body that forces a deletion says so by itself: nothing else may be taken for it.
func FuzzReadForce(f *testing.F) {
	f.Add([]byte(`{"force":true}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, migrations, strings.NewReader(string(body)))
		force, err := readForce(httptest.NewRecorder(), r)
		if !force {
			return
		}
		var said map[string]any
		if err != nil || json.Unmarshal(body, &said) != nil {
			t.Fatalf("forced by %q, with %v", body, err)
		}
		for name, value := range said {
			if strings.EqualFold(name, "force") && value == true {
				return
			}
		}
		t.Errorf("forced by %q", body)
	})
}
