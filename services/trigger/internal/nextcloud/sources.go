package nextcloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/egress"
	"example.org/ncm/services/trigger/internal/request"
)

// Ceilings of single requests. To delete a large folder, or a large trashbin,
// takes a server that long where it keeps files in an object store.
const (
	listTimeout   = 2 * time.Minute
	deleteTimeout = 5 * time.Minute
	trashTimeout  = 10 * time.Minute
)

// MaxWait is the longest that a server may take for the header of an answer; the
// client's transport must allow it.
const MaxWait = trashTimeout

// Sources looks at files and deletes them. It is safe for concurrent use.
type Sources struct {
	client     *http.Client
	allowHTTP  bool
	maxListing int64
}

var _ request.Sources = (*Sources)(nil)

// NewSources returns what works on files. Redirects are not followed, whatever
// the client does: a deletion must not end up elsewhere.
func NewSources(config Config) *Sources {
	own := *config.Client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Sources{client: &own, allowHTTP: config.AllowHTTP, maxListing: maxListing}
}

// Children implements request.Sources. Entries that the server says cannot be
// deleted, such as the folders of a group, are not the user's.
func (s *Sources) Children(ctx context.Context, account contract.Account) ([]string, error) {
	var names []string
	_, err := s.list(ctx, account, "", "1", func(name string, p properties) error {
		if p.Permissions == "" || strings.Contains(p.Permissions, "D") {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// Delete implements request.Sources.
func (s *Sources) Delete(ctx context.Context, account contract.Account, path string) error {
	root, err := rootOf(account.Auth, s.allowHTTP)
	if err != nil {
		return err
	}
	target, err := fileURL(root, account.WebDAVUserID, path)
	if err != nil {
		return err
	}
	if strings.Trim(path, "/") == "" {
		return unreachable("the home itself cannot be deleted", nil)
	}
	return s.remove(ctx, account.Auth, target, deleteTimeout)
}

// EmptyTrash implements request.Sources. A server without a trashbin has deleted
// for good before.
func (s *Sources) EmptyTrash(ctx context.Context, account contract.Account) error {
	root, err := rootOf(account.Auth, s.allowHTTP)
	if err != nil {
		return err
	}
	target, err := trashURL(root, account.WebDAVUserID)
	if err != nil {
		return err
	}
	return s.remove(ctx, account.Auth, target, trashTimeout)
}

func (s *Sources) remove(ctx context.Context, login contract.AccountAuth, target *url.URL, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	res, err := s.do(ctx, login, http.MethodDelete, target, nil) //nolint:bodyclose // egress.Drain closes it
	if err != nil {
		return err
	}
	defer egress.Drain(res.Body)
	switch res.StatusCode {
	case http.StatusOK, http.StatusNoContent, http.StatusNotFound:
		return nil
	case http.StatusForbidden, http.StatusPreconditionFailed, http.StatusLocked, http.StatusFailedDependency,
		http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusMultiStatus:
		return fmt.Errorf("%w: %w", request.ErrEntry, statusError(res))
	default:
		return statusError(res)
	}
}

// list reads a folder, or an entry alone at depth 0, and returns its own
// properties. It fails unless the listing is known to be whole and true.
func (s *Sources) list(
	ctx context.Context, account contract.Account, path, depth string, visit func(name string, p properties) error,
) (properties, error) {
	root, err := rootOf(account.Auth, s.allowHTTP)
	if err != nil {
		return properties{}, err
	}
	folder, err := fileURL(root, account.WebDAVUserID, path)
	if err != nil {
		return properties{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	res, err := s.do(ctx, account.Auth, "PROPFIND", folder, http.Header{ //nolint:bodyclose // egress.Drain closes it
		"Depth": {depth}, "Content-Type": {"application/xml; charset=utf-8"}, "Accept-Encoding": {"identity"},
	})
	if err != nil {
		return properties{}, err
	}
	defer egress.Drain(res.Body)
	switch res.StatusCode {
	case http.StatusMultiStatus:
	case http.StatusNotFound:
		return properties{}, request.ErrNotFound
	default:
		return properties{}, statusError(res)
	}
	l := listing{folder: folder, seen: map[string]struct{}{}, visit: visit}
	if err := readMultistatus(res.Body, s.maxListing, l.take); err != nil {
		return properties{}, unreachable("it does not list files as a Nextcloud does", err)
	}
	return l.result()
}

// listing checks that what is listed is the folder and what is directly in it.
type listing struct {
	folder   *url.URL
	visit    func(name string, p properties) error
	seen     map[string]struct{}
	answered bool
	self     properties
}

func (l *listing) take(r *response) error {
	name, ok := childOf(l.folder, r.Href)
	_, twice := l.seen[name]
	if !ok || twice {
		return fmt.Errorf("%w: an address elsewhere or listed twice", errMalformed)
	}
	l.seen[name] = struct{}{}
	p, found := r.found()
	if name == "" {
		l.self, l.answered = p, found
		return nil
	}
	return l.visit(name, p)
}

func (l *listing) result() (properties, error) {
	switch {
	case !l.answered:
		return properties{}, unreachable("it does not list files as a Nextcloud does", errMalformed)
	case l.self.absent():
		return properties{}, unreachable("the login shows no files, it may lack the right to see them", nil)
	}
	return l.self, nil
}

func (s *Sources) do(
	ctx context.Context, login contract.AccountAuth, method string, target *url.URL, header http.Header,
) (*http.Response, error) {
	body := ""
	if method == "PROPFIND" {
		body = propfindBody
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), strings.NewReader(body))
	if err != nil {
		return nil, unreachable("the address is not a URL", nil)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.SetBasicAuth(login.Login, login.Password)
	res, err := s.client.Do(req)
	if err != nil {
		return nil, noAnswer(withoutURL(err))
	}
	return res, nil
}

// withoutURL takes the address out of an error of net/http: it names files.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// statusError is what a status means for the login or for the server as a whole.
func statusError(res *http.Response) error {
	switch res.StatusCode {
	case http.StatusUnauthorized:
		return badCredentials(res.Body)
	case http.StatusTooManyRequests:
		return throttled()
	default:
		return unreachable(fmt.Sprintf("unexpected status %d from nextcloud files", res.StatusCode), nil)
	}
}
