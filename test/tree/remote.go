package tree

import (
	"context"
	"crypto/md5" //nolint:gosec // the digest that both ends know
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// line is one line of the /_sim/tree of either simulator.
type line struct {
	Path      string    `json:"path"`
	Dir       bool      `json:"dir"`
	Size      int64     `json:"size"`
	MD5       string    `json:"md5"`
	MTime     time.Time `json:"mtime"`      // Nextcloud
	UpdatedAt time.Time `json:"updated_at"` // Cozy
	Trashed   bool      `json:"trashed"`    // Cozy
	Error     string    `json:"error"`      // Nextcloud: why the listing ends early
}

// Nextcloud lists a folder of a user as the simulated Nextcloud at a base URL
// tells it. After an error the listing ends.
func Nextcloud(ctx context.Context, client *http.Client, base, user, folder string) iter.Seq2[Entry, error] {
	query := url.Values{"user": {user}, "path": {folder}}
	return remote(ctx, client, base, query, folder, func(l line) time.Time { return l.MTime })
}

// Cozy lists a folder of an instance as the simulated stack at a base URL tells
// it, without what is in the trash. A folder that is not there is an empty
// listing. After an error the listing ends.
func Cozy(ctx context.Context, client *http.Client, base, host, folder string) iter.Seq2[Entry, error] {
	query := url.Values{"host": {host}}
	return remote(ctx, client, base, query, folder, func(l line) time.Time { return l.UpdatedAt })
}

func remote(
	ctx context.Context, client *http.Client, base string, query url.Values, folder string, modified func(line) time.Time,
) iter.Seq2[Entry, error] {
	address := strings.TrimSuffix(base, "/") + "/_sim/tree?" + query.Encode()
	prefix := strings.Trim(folder, "/") + "/"
	if prefix == "/" {
		prefix = ""
	}
	return func(yield func(Entry, error) bool) {
		for l, err := range lines(ctx, client, address) {
			path, inside := strings.CutPrefix(strings.TrimPrefix(l.Path, "/"), prefix)
			if err == nil && (l.Trashed || !inside) {
				continue
			}
			var e Entry
			if err == nil {
				e, err = l.entry(path, modified(l))
			}
			if err != nil {
				yield(Entry{}, fmt.Errorf("list %s: %w", address, err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (l *line) entry(path string, modified time.Time) (Entry, error) {
	e := Entry{Path: path, Folder: l.Dir, ModTime: modified}
	if l.Dir {
		return e, nil
	}
	e.Size = l.Size
	sum, err := hex.DecodeString(l.MD5)
	if err != nil || len(sum) != md5.Size {
		return e, fmt.Errorf("no MD5 of %q", l.Path)
	}
	copy(e.MD5[:], sum)
	return e, nil
}

// lines reads lines of JSON until a well-formed end.
func lines(ctx context.Context, client *http.Client, address string) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		body, err := get(ctx, client, address)
		if err != nil {
			yield(line{}, err)
			return
		}
		defer body.Close()
		decoder := json.NewDecoder(body)
		for {
			var l line
			err := decoder.Decode(&l)
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil && l.Error != "" {
				err = errors.New(l.Error)
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

func get(ctx context.Context, client *http.Client, address string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		return nil, fmt.Errorf("%s: %s", answer.Status, strings.TrimSpace(string(text)))
	}
	return answer.Body, nil
}
