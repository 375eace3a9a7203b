package cozy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
	bearer      string // the caller's own token; empty: one of the token source
	most        int64  // bytes of an answer
}

// do sends a call and decodes the answer (into nil: it is dropped). A refused
// token is replaced once and the call sent once more.
func (i *Instance) do(ctx context.Context, c call, into any) error {
	ctx, cancel := context.WithTimeout(ctx, i.stack.timeout)
	defer cancel()
	if c.bearer != "" {
		return i.send(ctx, c, c.bearer, into)
	}
	token, err := i.token(ctx, c.op, "")
	if err != nil {
		return err
	}
	err = i.send(ctx, c, token, into)
	if !IsTokenRefused(err) {
		return err
	}
	if token, err = i.token(ctx, c.op, token); err != nil {
		return err
	}
	return i.send(ctx, c, token, into)
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

func (i *Instance) send(ctx context.Context, c call, token string, into any) error {
	req, err := http.NewRequestWithContext(ctx, c.method, i.stack.scheme+"://"+i.host+c.path, bytes.NewReader(c.body))
	if err != nil {
		return fmt.Errorf("%s: %w", c.op, withoutURL(err))
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if c.contentType != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	res, err := i.stack.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", c.op, withoutURL(err))
	}
	defer res.Body.Close()
	return i.stack.readAnswer(c.op, res, c.most, into)
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
