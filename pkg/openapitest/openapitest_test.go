package openapitest_test

import (
	"net/http"
	"net/url"
	"testing"

	"example.org/ncm/pkg/openapitest"
)

const document = `{
  "openapi": "3.1.0",
  "info": {"title": "test", "version": "1"},
  "servers": [{"url": "https://elsewhere.example"}],
  "paths": {"/things/{id}": {
    "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
    "get": {"responses": {
      "200": {"description": "a thing", "content": {"application/json": {"schema": {
        "type": "object", "required": ["size"], "properties": {"size": {"type": "integer"}}, "additionalProperties": false}}}},
      "204": {"description": "no thing"},
      "503": {"description": "later", "headers": {"Retry-After": {"required": true, "schema": {"type": "integer"}}}}
    }}
  }}
}`

func TestCheckFindsWhatIsNotDescribed(t *testing.T) {
	t.Parallel()
	checker, err := openapitest.New(t.Context(), []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	json := http.Header{"Content-Type": {"application/json"}}
	for name, c := range map[string]struct {
		path   string
		status int
		header http.Header
		body   string
		good   bool
	}{
		"as described":             {"/things/1?a=b", 200, json, `{"size":1}`, true},
		"without a body":           {"/things/1", 204, nil, "", true},
		"with its header":          {"/things/1", 503, http.Header{"Retry-After": {"1"}}, "", true},
		"unknown and refused":      {"/other", 404, nil, "", true},
		"unknown and served":       {"/other", 200, json, `{}`, false},
		"another status":           {"/things/1", 500, nil, "", false},
		"another type":             {"/things/1", 200, http.Header{"Content-Type": {"text/plain"}}, `{"size":1}`, false},
		"a member is missing":      {"/things/1", 200, json, `{}`, false},
		"a member is too many":     {"/things/1", 200, json, `{"size":1,"colour":"red"}`, false},
		"a member of another kind": {"/things/1", 200, json, `{"size":"1"}`, false},
		"cut":                      {"/things/1", 200, json, `{"size":1`, false},
		"an undescribed body":      {"/things/1", 204, nil, "x", false},
		"a header is missing":      {"/things/1", 503, nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, err := url.Parse("http://127.0.0.1:8080" + c.path)
			if err != nil {
				t.Fatal(err)
			}
			if c.header == nil {
				c.header = http.Header{}
			}
			err = checker.Check(t.Context(), http.MethodGet, target, &http.Response{StatusCode: c.status, Header: c.header}, []byte(c.body))
			if (err == nil) != c.good {
				t.Errorf("Check = %v", err)
			}
		})
	}
}

func TestNewRefusesWhatIsNoDescription(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", `{"openapi":"3.1.0"}`} {
		if _, err := openapitest.New(t.Context(), []byte(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
