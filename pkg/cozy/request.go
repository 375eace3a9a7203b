package cozy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Bounds of answers, in bytes. The database takes documents up to 8 MB and the
// stack sends them back when they are written.
const (
	maxFiles = 8 << 20
	maxDocs  = 32 << 20
)

// keptBuffer is how large a buffer may be to be used for the next answer.
const keptBuffer = 64 << 10

// call is one request that can be sent twice.
type call struct {
	op          string
	method      string
	path        string // escaped, with its query
	body        []byte
	contentType string
	rev         string        // for If-Match; empty: whatever it is
	bearer      string        // the caller's own token; empty: one of the token source
	most        int64         // bytes of an answer
	patience    time.Duration // in all; 0: that of the stack
}

// do sends a call and decodes the answer (into nil: it is dropped). A refused
// token is replaced once and the call sent once more.
func (i *Instance) do(ctx context.Context, c call, into any) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.patience, i.stack.timeout))
	defer cancel()
	send := func(token string) error {
		res, err := i.send(ctx, c, token)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		return i.stack.readAnswer(c.op, res, c.most, into)
	}
	if c.bearer != "" {
		return send(c.bearer)
	}
	return i.withToken(ctx, c.op, send)
}

// begin sends a call and gives its answer of success, whose body the caller reads
// and closes. The head is waited for as long as an upload's answer; the body is
// bounded by ctx and by the transport alone.
func (i *Instance) begin(ctx context.Context, c call) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	wait := time.AfterFunc(i.stack.stall, func() { cancel(ErrStalled) })
	defer wait.Stop()
	var res *http.Response
	err := i.withToken(ctx, c.op, func(token string) (err error) {
		if res, err = i.send(ctx, c, token); err != nil { //nolint:bodyclose // the caller does
			return err
		}
		if res.StatusCode >= 200 && res.StatusCode <= 299 {
			return nil
		}
		defer res.Body.Close()
		return readFault(c.op, res)
	})
	if err != nil {
		if errors.Is(context.Cause(ctx), ErrStalled) {
			err = fmt.Errorf("%s: %w", c.op, ErrStalled)
		}
		cancel(nil)
		return nil, err
	}
	res.Body = &endingBody{res.Body, cancel}
	return res, nil
}

// endingBody ends its request when it is closed.
type endingBody struct {
	io.ReadCloser
	end context.CancelCauseFunc
}

func (b *endingBody) Close() error {
	defer b.end(nil)
	return b.ReadCloser.Close()
}

// withToken sends with a token, and once more with another when it is refused.
func (i *Instance) withToken(ctx context.Context, op string, send func(token string) error) error {
	token, err := i.token(ctx, op, "")
	if err != nil {
		return err
	}
	err = send(token)
	if !IsTokenRefused(err) {
		return err
	}
	if token, err = i.token(ctx, op, token); err != nil {
		return err
	}
	return send(token)
}

// token asks for the token to use, or for the one that replaces a refused one.
func (i *Instance) token(ctx context.Context, op, refused string) (string, error) {
	if refused != "" {
		i.stack.logger.DebugContext(ctx, "token refused", "instance", i.host)
	}
	token, err := i.stack.tokens.Token(ctx, i.host, refused)
	if err != nil {
		return "", fmt.Errorf("%s: %w: %w", op, ErrToken, err)
	}
	return token, nil
}

func (i *Instance) send(ctx context.Context, c call, token string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, c.method, i.stack.scheme+"://"+i.host+c.path, bytes.NewReader(c.body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.op, withoutURL(err))
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if c.contentType != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	if c.rev != "" {
		req.Header["If-Match"] = []string{c.rev} // quotes would be part of it
	}
	res, err := i.stack.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.op, withoutURL(err))
	}
	return res, nil
}

// readAnswer decodes an answer of success and makes an Error of any other.
func (s *Stack) readAnswer(op string, res *http.Response, most int64, into any) error {
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return readFault(op, res)
	}
	buf, _ := s.buffers.Get().(*bytes.Buffer)
	defer s.release(buf)
	if n, err := buf.ReadFrom(io.LimitReader(res.Body, most+1)); err != nil {
		return fmt.Errorf("%s: read answer: %w", op, err)
	} else if n > most {
		return fmt.Errorf("%s: %w: more than %d bytes", op, ErrAnswer, most)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(buf.Bytes(), into); err != nil {
		return fmt.Errorf("%s: %w: %w", op, ErrAnswer, err)
	}
	return nil
}

func (s *Stack) release(buf *bytes.Buffer) {
	if buf.Cap() > keptBuffer {
		return
	}
	buf.Reset()
	s.buffers.Put(buf)
}

// withoutURL takes the URL out of an error of net/http: it holds file names.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
