package cozy_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/cozy"
)

// verdict is what the predicates say about an error.
type verdict struct {
	NotFound, Conflict, Token, Forbidden, Blocked, Gone, TooLarge bool
}

func verdictOn(err error) verdict {
	return verdict{
		NotFound: cozy.IsNotFound(err), Conflict: cozy.IsConflict(err), Token: cozy.IsTokenRefused(err),
		Forbidden: cozy.IsForbidden(err), Blocked: cozy.IsBlocked(err), Gone: cozy.IsInstanceGone(err),
		TooLarge: cozy.IsTooLarge(err),
	}
}

func TestErrorsAreToldApartAsTheStackShapesThem(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer answer
		code   string
		want   verdict
	}{
		"no token":      {answer{401, nil, "No token in request"}, "No token in request", verdict{Token: true}},
		"no token data": {answer{401, nil, `{"error":"code=401, message=No token in request"}`}, "No token in request", verdict{Token: true}},
		"garbage token": {answer{400, map[string]string{"Www-Authenticate": `Bearer error="invalid_token"`}, "Invalid JWT token"}, "Invalid JWT token", verdict{Token: true}},
		"expired":       {expired, "Expired token", verdict{Token: true}},
		"expired plain": {answer{400, nil, "Expired token"}, "Expired token", verdict{Token: true}},
		"expired data":  {answer{400, nil, `{"error":"code=400, message=Expired token"}`}, "Expired token", verdict{Token: true}},
		"empty scope": {
			answer{400, nil, "Permission scope is empty or malformed"}, "Permission scope is empty or malformed", verdict{Forbidden: true},
		},
		"other 400":  {answer{400, nil, `{"error":"no_index","ok":false,"reason":"no matching index found, create an index","status":"400"}`}, "no_index", verdict{}},
		"bad json":   {answer{400, nil, `{"error":"Bad Request(400): invalid character 'n' looking for beginning of object key string"}`}, "Bad Request", verdict{}},
		"scope":      {answer{403, nil, "Forbidden"}, "Forbidden", verdict{Forbidden: true}},
		"scope data": {answer{403, nil, `{"error":"code=403, message=Forbidden"}`}, "Forbidden", verdict{Forbidden: true}},
		"app missing": {
			answer{404, nil, `{"errors":[{"status":"404","title":"not_found","detail":"no permission doc for notinstalled","source":{}}]}`},
			"not_found",
			verdict{Forbidden: true},
		},
		"app missing data": {
			answer{404, nil, `{"error":"not_found","ok":false,"reason":"no permission doc for notinstalled","status":"404"}`},
			"not_found",
			verdict{Forbidden: true},
		},
		"file missing":     {answer{404, nil, `{"errors":[{"status":"404","title":"Not Found","detail":"file does not exist","source":{}}]}`}, "Not Found", verdict{NotFound: true}},
		"document missing": {answer{404, nil, `{"error":"not_found","ok":false,"reason":"missing","status":"404"}`}, "not_found", verdict{NotFound: true}},
		"document deleted": {answer{404, nil, `{"error":"not_found","ok":false,"reason":"deleted","status":"404"}`}, "not_found", verdict{NotFound: true}},
		"database missing": {answer{404, nil, `{"error":"not_found","ok":false,"reason":"wrong_doctype","status":"404"}`}, "not_found", verdict{NotFound: true}},
		"no instance":      {answer{404, nil, "Instance not found"}, "Instance not found", verdict{Gone: true}},
		"no instance json": {answer{404, nil, `{"error":{}}`}, "", verdict{Gone: true}},
		"no route":         {answer{404, nil, "Not Found"}, "Not Found", verdict{}},
		"no route data":    {answer{404, nil, `{"error":"code=404, message=Not Found"}`}, "Not Found", verdict{}},
		"proxy 404":        {answer{404, nil, "<html><h1>404 Not Found</h1></html>"}, "", verdict{}},
		"blocked": {
			answer{402, nil, `[{"status":"402","title":"Blocked","code":"UNKNOWN","detail":"The Twake is blocked for an unknown reason","source":{}}]`},
			"Blocked",
			verdict{Blocked: true},
		},
		"blocked without a reason": {
			answer{503, nil, `[{"status":"503","title":"Blocked","code":"UNKNOWN","detail":"The Twake is blocked for an unknown reason","source":{}}]`},
			"Blocked",
			verdict{Blocked: true},
		},
		"being moved": {answer{503, nil, `{"error":"The Twake requires a payment"}`}, "The Twake requires a payment", verdict{}},
		"taken": {
			answer{409, nil, `{"errors":[{"status":"409","title":"Conflict","detail":"mkdir /var/lib/cozy/storage/alice/x: file exists","source":{}}]}`},
			"Conflict",
			verdict{Conflict: true},
		},
		"stale": {answer{409, nil, `{"error":"conflict","ok":false,"reason":"Document update conflict.","status":"409"}`}, "conflict", verdict{Conflict: true}},
		"quota": {
			answer{413, nil, `{"errors":[{"status":"413","title":"Request Entity Too Large","detail":"The file is too big and exceeds the disk quota","source":{}}]}`},
			"Request Entity Too Large",
			verdict{TooLarge: true},
		},
		"proxy 413":    {answer{413, nil, "<html><h1>413 Request Entity Too Large</h1></html>"}, "", verdict{}},
		"document 413": {answer{413, nil, `{"error":"document_too_large","ok":false,"reason":"x","status":"413"}`}, "document_too_large", verdict{}},
		"failure":      {answer{500, nil, `{"errors":[{"status":"500","title":"Unqualified error","detail":"open /var/lib/cozy: file name too long","source":{}}]}`}, "Unqualified error", verdict{}},
		"redirect":     {answer{302, map[string]string{"Location": "https://evil.test/"}, ""}, "", verdict{}},
		"endless":      {answer{500, nil, strings.Repeat("x", 1<<20)}, "", verdict{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := script(t, test.answer)
			_, err := instanceOn(t, s.Server, cozy.Static("tok")).Permissions(t.Context(), "caller")
			var e *cozy.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if e.Status != test.answer.status || e.Code != test.code {
				t.Errorf("got status %d, code %q; want %d, %q", e.Status, e.Code, test.answer.status, test.code)
			}
			if diff := cmp.Diff(test.want, verdictOn(err)); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if missing := strings.HasPrefix(name, "app missing"); missing != strings.Contains(err.Error(), "is not installed in the instance") {
				t.Errorf("says %q", err)
			}
			if strings.Contains(err.Error(), "/var") || strings.Contains(err.Error(), "evil") {
				t.Errorf("error shows the server's text: %v", err)
			}
		})
	}
}

func TestErrorTellsHowLongToWait(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][2]time.Duration{
		"":          {0, 0},
		"120":       {2 * time.Minute, 2 * time.Minute},
		"-5":        {0, 0},
		"soon":      {0, 0},
		"999999999": {24 * time.Hour, 24 * time.Hour},
		time.Now().Add(time.Hour).UTC().Format(http.TimeFormat): {58 * time.Minute, time.Hour},
	} {
		s := script(t, answer{429, map[string]string{"Retry-After": value}, ""})
		_, err := instanceOn(t, s.Server, cozy.Static("tok")).DiskUsage(t.Context())
		var e *cozy.Error
		if !errors.As(err, &e) || e.RetryAfter < want[0] || e.RetryAfter > want[1] {
			t.Errorf("Retry-After %q: got %v (%v), want %v", value, e.RetryAfter, err, want)
		}
	}
}

func TestMalformedAnswersAreNotSuccess(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"not json":  "<html>",
		"empty":     "",
		"cut":       fileAnswer[:100],
		"no id":     `{"data":{"attributes":{"type":"directory"}}}`,
		"no size":   `{"data":{"id":"x","attributes":{"type":"file","md5sum":"VHMeWQewcCI1aqEVGGUcWg=="}}}`,
		"no md5sum": `{"data":{"id":"x","attributes":{"type":"file","size":"1"}}}`,
		"too large": strings.Repeat(" ", 9<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := script(t, answer{200, nil, body})
			_, err := instanceOn(t, s.Server, cozy.Static("tok")).FileByID(t.Context(), "x")
			if !errors.Is(err, cozy.ErrAnswer) {
				t.Errorf("got %v, want ErrAnswer", err)
			}
		})
	}
}

func TestConnectionErrorsNameNoFile(t *testing.T) {
	t.Parallel()
	s := script(t, answer{200, nil, ""})
	i := instanceOn(t, s.Server, cozy.Static("tok"))
	s.Close()
	_, err := i.MakeDir(t.Context(), "d1", "secret-plans", cozy.Times{})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}
