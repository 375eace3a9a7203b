package main

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"
)

// pipeCommand runs the floor: GET, MD5 on the way, POST, and nothing else.
const pipeCommand = "pipe"

// pipeOrder is what the pipe reads from its standard input.
type pipeOrder struct {
	Source   string // URL that the files' paths are appended to
	Login    string
	Password string
	Target   string // host of the instance
	Address  string // where it is dialled
	Token    string
	Parallel int
	Files    []pipeFile
}

type pipeFile struct {
	Path  string
	Name  string
	Size  int64
	MTime time.Time
}

// runPipe takes its order, says that it is ready, moves the files when it is told
// to go and says when it is done. It stays until its input ends, for its costs to
// be read.
func runPipe(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	var order pipeOrder
	if err := json.Unmarshal(line, &order); err != nil {
		return fmt.Errorf("decode the order: %w", err)
	}
	fmt.Fprintln(stdout, lineReady)
	if _, err := in.ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	if err := order.run(ctx); err != nil {
		return err
	}
	fmt.Fprintln(stdout, lineDone)
	_, err = io.Copy(io.Discard, in)
	return err
}

func (o *pipeOrder) run(ctx context.Context) error {
	client := o.client()
	defer client.CloseIdleConnections()
	group, ctx := errgroup.WithContext(ctx)
	files := make(chan pipeFile)
	group.Go(func() error {
		defer close(files)
		for _, f := range o.Files {
			select {
			case files <- f:
			case <-ctx.Done():
				return nil
			}
		}
		return nil
	})
	for range o.Parallel {
		group.Go(func() error {
			for f := range files {
				if err := o.move(ctx, client, f); err != nil {
					return fmt.Errorf("move %s: %w", f.Path, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// client is net/http as it is, but for enough idle connections and HTTP/1.1.
func (o *pipeOrder) client() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{}
	return &http.Client{Transport: &http.Transport{
		Protocols:           protocols,
		DisableCompression:  true,
		MaxIdleConnsPerHost: o.Parallel,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, _, _ := net.SplitHostPort(addr); host == o.Target {
				addr = o.Address
			}
			return dialer.DialContext(ctx, network, addr)
		},
	}}
}

func (o *pipeOrder) move(ctx context.Context, client *http.Client, f pipeFile) error {
	get, err := http.NewRequestWithContext(ctx, http.MethodGet, o.Source+f.Path, http.NoBody)
	if err != nil {
		return err
	}
	get.SetBasicAuth(o.Login, o.Password)
	source, err := client.Do(get)
	if err != nil {
		return err
	}
	defer source.Body.Close()
	if source.StatusCode != http.StatusOK {
		return errors.New("source: " + source.Status)
	}
	sum := md5.New()
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, o.uploadURL(f), io.TeeReader(source.Body, sum))
	if err != nil {
		return err
	}
	post.ContentLength = f.Size
	post.Header.Set("Authorization", "Bearer "+o.Token)
	post.Header.Set("Content-Type", source.Header.Get("Content-Type"))
	target, err := client.Do(post)
	if err != nil {
		return err
	}
	defer target.Body.Close()
	if target.StatusCode != http.StatusCreated {
		return errors.New("target: " + target.Status)
	}
	sum.Sum(nil)
	_, err = io.Copy(io.Discard, target.Body)
	return err
}

func (o *pipeOrder) uploadURL(f pipeFile) string {
	date := f.MTime.UTC().Format(time.RFC3339)
	query := url.Values{
		"Type": {"file"}, "Name": {f.Name}, "Size": {fmt.Sprint(f.Size)},
		"CreatedAt": {date}, "UpdatedAt": {date},
	}
	return "http://" + o.Target + "/files/io.cozy.files.root-dir?" + query.Encode()
}
