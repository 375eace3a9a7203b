package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Logins at the simulators, which only this machine can reach.
const (
	sourceUser     = "alice"
	sourcePassword = "bench-app-password"
	adminUser      = "admin"
	adminPassword  = "bench-admin"
)

// control tells the simulators what to do, and asks them what they have.
type control struct {
	nextcloud, cozy, admin string // addresses
	process                *process
}

// startSimulators starts them in a process of their own. Contents are generated on
// one side and hashed and dropped on the other, so that no disk is measured.
func startSimulators(ctx context.Context, binary, dir string, log io.Writer, recorded bool) (*control, error) {
	var c control
	for _, address := range []*string{&c.nextcloud, &c.cozy, &c.admin} {
		var err error
		if *address, err = freeAddress(ctx); err != nil {
			return nil, err
		}
	}
	var err error
	args := []string{
		"-nextcloud", c.nextcloud, "-cozy", c.cozy, "-admin", c.admin, "-data", dir,
		"-users", sourceUser + ":bench-password:" + sourcePassword, "-admin-password", adminPassword,
	}
	if recorded {
		args = append(args, "-nextcloud-profile", "nextcloud32", "-cozy-profile", "cozy-stack")
	}
	c.process, err = startService(ctx, log, []string{}, binary, args...)
	if err != nil {
		return nil, fmt.Errorf("start the simulators: %w", err)
	}
	for _, address := range []string{c.nextcloud, c.cozy, c.admin} {
		if err := awaitOK(ctx, "http://"+address+"/healthz"); err != nil {
			return nil, errors.Join(fmt.Errorf("wait for the simulators: %w", err), c.process.stop())
		}
	}
	return &c, nil
}

// treeFolders is how many folders that are only listed lie in one.
const treeFolders = 3000

// generate offers the files of a load at the source.
func (c *control) generate(ctx context.Context, l load) error {
	if l.listed { // a folder deeper: the top one is always listed by itself
		for from := 0; from < l.files; from += treeFolders {
			err := order(ctx, http.MethodPost, c.source("generated"), map[string]any{
				"user": sourceUser, "path": fmt.Sprintf("%s/tree%d", l.folder, from),
				"folders": min(treeFolders, l.files-from),
			}, nil)
			if err != nil {
				return err
			}
		}
		return nil
	}
	return order(ctx, http.MethodPost, c.source("generated"),
		map[string]any{"user": sourceUser, "path": l.folder, "files": l.files, "each": l.inFolder, "size": l.size}, nil)
}

// slowDown adds a delay to each answer of the source, or none.
func (c *control) slowDown(ctx context.Context, delay time.Duration) error {
	if err := order(ctx, http.MethodDelete, c.source("faults"), nil, nil); err != nil || delay == 0 {
		return err
	}
	return order(ctx, http.MethodPost, c.source("faults"), map[string]any{"delay": delay.String(), "times": -1}, nil)
}

// newInstance makes an empty instance, free of recorded costs or not, and gives a token
// for it.
func (c *control) newInstance(ctx context.Context, host string, free bool) (string, error) {
	var made struct{ Token string }
	err := order(ctx, http.MethodPost, "http://"+c.cozy+"/_sim/instances", map[string]any{"host": host, "free": free}, &made)
	return made.Token, err
}

func (c *control) source(route string) string { return "http://" + c.nextcloud + "/_sim/" + route }

// order sends one order; in and out may be nil.
func order(ctx context.Context, method, address string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("order from a simulator: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode > 299 {
		said, _ := io.ReadAll(io.LimitReader(res.Body, 500))
		return fmt.Errorf("order from a simulator: %s %s: %s %s", method, req.URL.Path, res.Status, said)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// tree is the files below a folder, by their path from there.
type tree map[string]content

// content is what two equal files have in common.
type content struct {
	Size int64
	MD5  string
}

// sourceTree reads what is below a folder of the source.
func (c *control) sourceTree(ctx context.Context, folder string) (tree, []pipeFile, error) {
	query := url.Values{"user": {sourceUser}, "path": {folder}}
	files, err := c.lines(ctx, c.source("tree?"+query.Encode()), folder)
	if err != nil {
		return nil, nil, fmt.Errorf("read the source's tree: %w", err)
	}
	return asTree(files), files.forPipe(folder), nil
}

// targetTree reads what is below a folder of an instance.
func (c *control) targetTree(ctx context.Context, host, folder string) (tree, error) {
	files, err := c.lines(ctx, "http://"+c.cozy+"/_sim/tree?host="+url.QueryEscape(host), folder)
	if err != nil {
		return nil, fmt.Errorf("read the target's tree: %w", err)
	}
	return asTree(files), nil
}

// entries are what both simulators print of their files.
type entries []entry

type entry struct {
	Path  string
	Dir   bool
	Size  int64
	MD5   string
	MTime time.Time
	Error string
}

// lines reads a tree of JSON lines, and keeps the files below a folder with their
// paths from there.
func (c *control) lines(ctx context.Context, address, folder string) (entries, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, errors.New(res.Status)
	}
	var files entries
	for decoder := json.NewDecoder(res.Body); ; {
		var e entry
		err := decoder.Decode(&e)
		switch {
		case errors.Is(err, io.EOF):
			return files, nil
		case err != nil:
			return nil, err
		case e.Error != "":
			return nil, errors.New(e.Error)
		}
		rest, below := strings.CutPrefix("/"+strings.TrimPrefix(e.Path, "/"), strings.TrimSuffix(folder, "/")+"/")
		if below && !e.Dir {
			e.Path = rest
			files = append(files, e)
		}
	}
}
