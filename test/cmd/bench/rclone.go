package main

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"syscall"
	"time"

	"golang.org/x/net/webdav"
)

// copyByRclone moves a load from the source to a WebDAV server in this process, whose
// costs are not counted, and checks that it is all there.
func (b *bench) copyByRclone(ctx context.Context, l load) (lap, error) {
	disk := webdav.NewMemFS()
	target := httptest.NewServer(&webdav.Handler{FileSystem: disk, LockSystem: webdav.NewMemLS()})
	defer target.Close()
	password, err := output(ctx, b.rclone, "obscure", sourcePassword)
	if err != nil {
		return lap{}, fmt.Errorf("ask rclone to hide a password: %w", err)
	}
	args := []string{"copy", "src:" + l.folder, "dst:", "--transfers", fmt.Sprint(l.parallel), "--config", os.DevNull}
	if l.unpaced {
		args = append(args, "--webdav-pacer-min-sleep", "0")
	}
	cmd := exec.CommandContext(ctx, b.rclone, args...)
	cmd.Stdout, cmd.Stderr = b.log, b.log
	cmd.Env = []string{
		"RCLONE_CONFIG_SRC_TYPE=webdav", "RCLONE_CONFIG_SRC_VENDOR=nextcloud",
		"RCLONE_CONFIG_SRC_URL=http://" + b.simulators.nextcloud + "/remote.php/dav/files/" + sourceUser,
		"RCLONE_CONFIG_SRC_USER=" + sourceUser, "RCLONE_CONFIG_SRC_PASS=" + password,
		"RCLONE_CONFIG_DST_TYPE=webdav", "RCLONE_CONFIG_DST_URL=" + target.URL,
	}
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return lap{}, fmt.Errorf("run rclone: %w", err)
	}
	took := time.Since(start)
	got, err := treeOf(ctx, disk)
	if err != nil {
		return lap{}, err
	}
	return newLap(l, took, usage{}, endUsage(cmd.ProcessState)), checkSame(b.sources[l.folder].tree, got)
}

// endUsage is what a process has cost that is over.
func endUsage(p *os.ProcessState) usage {
	u := usage{cpu: p.UserTime() + p.SystemTime()}
	if r, ok := p.SysUsage().(*syscall.Rusage); ok {
		u.peakRSS = r.Maxrss * 1024
	}
	return u
}

// treeOf reads what is on a disk.
func treeOf(ctx context.Context, disk webdav.FileSystem) (tree, error) {
	t := tree{}
	var walk func(dir string) error
	walk = func(dir string) error {
		f, err := disk.OpenFile(ctx, "/"+dir, os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if !info.IsDir() {
			sum := md5.New()
			if _, err := io.Copy(sum, f); err != nil {
				return err
			}
			t[dir] = content{Size: info.Size(), MD5: hex.EncodeToString(sum.Sum(nil))}
			return nil
		}
		children, err := f.Readdir(-1)
		if err != nil {
			return err
		}
		for _, c := range children {
			if err := walk(path.Join(dir, c.Name())); err != nil {
				return err
			}
		}
		return nil
	}
	return t, walk("")
}
