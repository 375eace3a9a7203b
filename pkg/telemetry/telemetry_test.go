package telemetry_test

import (
	"log/slog"
	"strings"
	"testing"

	"example.org/ncm/pkg/config"
	"example.org/ncm/pkg/telemetry"
)

func TestTracesAreOffByDefault(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]telemetry.Export{
		"nothing set": {},
		"disabled":    {Endpoint: "http://127.0.0.1:4318", Disabled: true},
	} {
		provider, done, err := e.Open(t.Context(), "test", "v0", slog.New(slog.DiscardHandler))
		if provider != nil || err != nil {
			t.Errorf("%s: provider %T, error %v", name, provider, err)
		}
		done()
	}
}

func TestFaultsOfTheSettingsAreReportedWithoutSecrets(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]telemetry.Export{
		"OTEL_EXPORTER_OTLP_ENDPOINT": {Endpoint: "collector:4318"},
		"OTEL_EXPORTER_OTLP_HEADERS":  {Headers: config.Secret("planted-token")},
	} {
		err := e.Validate()
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := telemetry.Export{Endpoint: "https://collector.example/otlp", Headers: "Authorization=Bearer%20x,a=b"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}
