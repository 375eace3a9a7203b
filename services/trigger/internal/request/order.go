package request

import (
	"path"
	"strings"

	"example.org/ncm/pkg/contract"
)

// Order is what a user asks for: files of a source to be copied into a folder.
type Order struct {
	URL        string
	Login      string
	Password   string // an app password
	SourcePath string // empty: everything
	TargetDir  string // empty: the default folder
}

// maxPathBytes bounds both paths. It keeps the message far below the size that
// consumers read.
const maxPathBytes = 4096

// checked is the order with its fields trimmed and completed. Faults come in
// the order in which the stack reports them.
func (o Order) checked() (Order, error) {
	o = o.trimmed()
	switch {
	case o.URL == "":
		return Order{}, invalid("nextcloud_url is required")
	case o.Login == "":
		return Order{}, invalid("nextcloud_login is required")
	case o.Password == "":
		return Order{}, invalid("nextcloud_app_password is required")
	}
	if !strings.HasSuffix(o.URL, "/") {
		o.URL += "/"
	}
	return o.withPaths()
}

func (o Order) trimmed() Order {
	for _, field := range []*string{&o.URL, &o.Login, &o.Password, &o.SourcePath, &o.TargetDir} {
		*field = strings.TrimSpace(*field)
	}
	return o
}

func (o Order) withPaths() (Order, error) {
	if o.SourcePath == "" {
		o.SourcePath = contract.DefaultSourcePath
	}
	if len(o.SourcePath) > maxPathBytes || strings.ContainsRune(o.SourcePath, 0) {
		return Order{}, invalid("source_path is not a path")
	}
	if o.TargetDir == "" {
		o.TargetDir = contract.DefaultTargetDir
	}
	o.TargetDir = strings.TrimSuffix(o.TargetDir, "/")
	if !cleanTarget(o.TargetDir) {
		return Order{}, invalid("target_dir must be a clean absolute path")
	}
	return o, nil
}

// cleanTarget also refuses the characters that no folder of the target may have.
func cleanTarget(dir string) bool {
	return path.IsAbs(dir) && dir == path.Clean(dir) &&
		len(dir) <= maxPathBytes && !strings.ContainsAny(dir, "\x00\r\n")
}

func (o Order) source(userID string) Source { return Source{URL: o.URL, UserID: userID} }

func (o Order) account(userID string) contract.Account {
	return contract.Account{
		AccountType:  contract.AccountTypeNextcloud,
		Name:         o.Login,
		WebDAVUserID: userID,
		Auth:         contract.AccountAuth{URL: o.URL, Login: o.Login, Password: o.Password},
	}
}
