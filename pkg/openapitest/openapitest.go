// Package openapitest holds the answers of an HTTP API against the description
// that the API gives of itself.
package openapitest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Checker knows a description. It is safe for concurrent use.
type Checker struct {
	router routers.Router
}

// New loads an OpenAPI document and validates it as such.
func New(ctx context.Context, document []byte) (*Checker, error) {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, fmt.Errorf("load description: %w", err)
	}
	if err := doc.Validate(ctx); err != nil {
		return nil, fmt.Errorf("validate description: %w", err)
	}
	// Where it is served differs from test to test.
	doc.Servers = openapi3.Servers{{URL: "/"}}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("route by description: %w", err)
	}
	return &Checker{router: router}, nil
}

// Check says whether the answer to a request is one that is described. What no
// route is described for has to be refused; preflights of browsers are theirs.
func (c *Checker) Check(ctx context.Context, method string, target *url.URL, res *http.Response, body []byte) error {
	if method == http.MethodHead || method == http.MethodOptions {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://api"+target.RequestURI(), http.NoBody)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	route, params, err := c.router.FindRoute(req)
	if err != nil {
		if res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusMethodNotAllowed {
			return fmt.Errorf("%s %s is not described and answers %d", method, target.Path, res.StatusCode)
		}
		return nil
	}
	if described := route.Operation.Responses.Status(res.StatusCode); described != nil && len(described.Value.Content) == 0 && len(body) > 0 {
		return fmt.Errorf("%s %s answers %d with a body", method, target.Path, res.StatusCode)
	}
	err = openapi3filter.ValidateResponse(ctx, &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 res.StatusCode,
		Header:                 res.Header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		return fmt.Errorf("%s %s: answer %d %s: %w", method, target.Path, res.StatusCode, strings.TrimSpace(string(body)), err)
	}
	return nil
}
