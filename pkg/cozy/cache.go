package cozy

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// maxCached bounds the hosts whose tokens are kept.
	maxCached = 10_000
	// maxAge is how long a token is used that does not say when it ends; the
	// shortest-lived ones live 30 minutes.
	maxAge = 20 * time.Minute
	// margin is how long before its end a token is replaced.
	margin = 2 * time.Minute
)

// Cached keeps the tokens of a source in memory until shortly before they end.
// All callers that need a new token for a host at the same time wait for one
// request to the source, which no single caller's context can cancel.
func Cached(source TokenSource) TokenSource {
	return &cache{source: source, tokens: make(map[string]cachedToken)}
}

type cache struct {
	source  TokenSource
	flights singleflight.Group

	mu     sync.Mutex
	tokens map[string]cachedToken
}

// errSameToken keeps a refused token from being sent again and again.
var errSameToken = errors.New("the source gave the refused token once more")

type cachedToken struct {
	text  string
	until time.Time
}

func (c *cache) Token(ctx context.Context, host, refused string) (string, error) {
	if token, ok := c.lookup(host, refused); ok {
		return token, nil
	}
	flight := c.flights.DoChan(host, func() (any, error) {
		return c.refresh(context.WithoutCancel(ctx), host, refused)
	})
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case result := <-flight:
		token, _ := result.Val.(string)
		if result.Err == nil && refused != "" && token == refused {
			return "", errSameToken
		}
		return token, result.Err
	}
}

// lookup gives the kept token unless it is the refused one or about to end.
func (c *cache) lookup(host, refused string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	token, ok := c.tokens[host]
	if !ok || token.text == refused || time.Now().After(token.until) {
		return "", false
	}
	return token.text, true
}

func (c *cache) refresh(ctx context.Context, host, refused string) (string, error) {
	// A flight that ended just before this one began has already answered.
	if token, ok := c.lookup(host, refused); ok {
		return token, nil
	}
	ctx, cancel := context.WithTimeout(ctx, issueTimeout)
	defer cancel()
	token, err := c.source.Token(ctx, host, refused)
	if err != nil {
		return "", err
	}
	c.keep(host, token)
	return token, nil
}

func (c *cache) keep(host, token string) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.tokens[host]; !known && len(c.tokens) >= maxCached {
		c.makeRoom(now)
	}
	c.tokens[host] = cachedToken{text: token, until: usableUntil(token, now)}
}

// makeRoom drops what has ended and, when nothing has, any one token: it costs
// its host one request to the source.
func (c *cache) makeRoom(now time.Time) {
	var last string
	for host, token := range c.tokens {
		last = host
		if now.After(token.until) {
			delete(c.tokens, host)
		}
	}
	if len(c.tokens) >= maxCached {
		delete(c.tokens, last)
	}
}

// usableUntil is when a token should be replaced. The claim is read without
// checking the signature: it only decides when to ask for the next token.
func usableUntil(token string, now time.Time) time.Time {
	until := now.Add(maxAge)
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return until
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return until
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1e11 {
		return until
	}
	end := time.Unix(int64(claims.Exp), 0)
	return end.Add(-min(margin, end.Sub(now)/10))
}
