// Package treetest copies folders into an instance without a migration, for the
// tests of those who compare.
package treetest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"

	"example.org/ncm/pkg/cozy"
	"example.org/ncm/test/tree"
)

// Target is an instance to copy into.
type Target struct {
	Addr  string // host:port of the stack
	Host  string // of the instance
	Token string
}

// Upload copies the files and folders below a folder on disk into one of that
// name in the root of the instance, one after the other.
func Upload(ctx context.Context, to Target, dir, name string) error {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, to.Addr)
	}}
	defer transport.CloseIdleConnections()
	client := cozy.New(cozy.Config{HTTP: &http.Client{Transport: transport}, Scheme: "http", Tokens: cozy.Static(to.Token)})
	instance := client.Instance(to.Host)
	top, err := instance.MakeDir(ctx, cozy.RootDirID, name, cozy.Times{})
	if err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	folders := map[string]string{".": top.ID} // id by path
	for e, err := range tree.Disk(ctx, dir) {
		if err == nil {
			err = upload(ctx, instance, folders, dir, e)
		}
		if err != nil {
			return fmt.Errorf("upload %q: %w", e.Path, err)
		}
	}
	return nil
}

func upload(ctx context.Context, instance *cozy.Instance, folders map[string]string, dir string, e tree.Entry) error {
	parent, name := folders[path.Dir(e.Path)], path.Base(e.Path)
	times := cozy.Times{CreatedAt: e.ModTime, UpdatedAt: e.ModTime}
	if e.Folder {
		made, err := instance.MakeDir(ctx, parent, name, times)
		folders[e.Path] = made.ID
		return err
	}
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(e.Path)))
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = instance.Upload(ctx, cozy.Upload{DirID: parent, Name: name, Size: e.Size, Times: times, MD5: e.MD5[:], Body: file})
	return err
}
