package request_test

import (
	"strings"
	"testing"

	"example.org/ncm/services/trigger/internal/request"
)

func TestStartRefusesOrdersThatBreakARule(t *testing.T) {
	t.Parallel()
	const badTarget = "target_dir must be a clean absolute path"
	for name, c := range map[string]struct {
		change func(o *request.Order)
		want   string
	}{
		"nothing at all":   {func(o *request.Order) { *o = request.Order{} }, "nextcloud_url is required"},
		"blank url":        {func(o *request.Order) { o.URL = " \t" }, "nextcloud_url is required"},
		"no login":         {func(o *request.Order) { o.Login, o.Password = "", "" }, "nextcloud_login is required"},
		"no password":      {func(o *request.Order) { o.Password = "\n" }, "nextcloud_app_password is required"},
		"relative target":  {func(o *request.Order) { o.TargetDir = "Foo" }, badTarget},
		"climbing target":  {func(o *request.Order) { o.TargetDir = "/a/../b" }, badTarget},
		"doubled slash":    {func(o *request.Order) { o.TargetDir = "/a//b" }, badTarget},
		"root as target":   {func(o *request.Order) { o.TargetDir = "/ " }, badTarget},
		"target with NUL":  {func(o *request.Order) { o.TargetDir = "/a\x00b" }, badTarget},
		"target with LF":   {func(o *request.Order) { o.TargetDir = "/a\nb" }, badTarget},
		"target too long":  {func(o *request.Order) { o.TargetDir = "/" + strings.Repeat("a", 4096) }, badTarget},
		"source with NUL":  {func(o *request.Order) { o.SourcePath = "/a\x00" }, "source_path is not a path"},
		"source too long":  {func(o *request.Order) { o.SourcePath = "/" + strings.Repeat("a", 4096) }, "source_path is not a path"},
		"url before login": {func(o *request.Order) { o.URL, o.Login, o.TargetDir = "", "", "x" }, "nextcloud_url is required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, o := newWorld(t), order()
			c.change(&o)
			_, err := w.desk.Start(t.Context(), instance, o)
			wantCode(t, err, request.CodeInvalid)
			if got := request.MessageOf(err); got != c.want {
				t.Errorf("message %q, want %q", got, c.want)
			}
		})
	}
}

func TestStartCompletesOrders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given, want request.Order
	}{
		"defaults": {
			request.Order{URL: "https://a.example", Login: "l", Password: "p"},
			request.Order{URL: "https://a.example/", SourcePath: "/", TargetDir: "/Nextcloud"},
		},
		"blank is not given": {
			request.Order{URL: "https://a.example/", Login: "l", Password: "p", SourcePath: " ", TargetDir: "  "},
			request.Order{URL: "https://a.example/", SourcePath: "/", TargetDir: "/Nextcloud"},
		},
		"sub-path and folders are kept": {
			request.Order{URL: "https://a.example/nc/x", Login: "l", Password: "p", SourcePath: "/a b", TargetDir: "/Nextcloud imported files/"},
			request.Order{URL: "https://a.example/nc/x/", SourcePath: "/a b", TargetDir: "/Nextcloud imported files"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			doc, err := w.desk.Start(t.Context(), instance, c.given)
			if err != nil {
				t.Fatal(err)
			}
			got := request.Order{URL: w.saved[0].Auth.URL, SourcePath: doc.SourcePath, TargetDir: doc.TargetDir}
			if got != c.want {
				t.Errorf("order is %+v, want %+v", got, c.want)
			}
		})
	}
}
