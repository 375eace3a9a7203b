package nextcloudtest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// User of the simulated server.
type User struct {
	// ID names the user in WebDAV paths; it may hold spaces and "@" and may
	// differ from every login name.
	ID string `json:"id"`
	// DisplayName is the ID when it is empty.
	DisplayName string `json:"display_name,omitempty"`
	Email       string `json:"email,omitempty"` // a login name too
	// Logins are further names to log in with; case does not count. The ID
	// always works with the login password.
	Logins   []string `json:"logins,omitempty"`
	Password string   `json:"password,omitempty"`
	// AppPasswords work as soon as the user is added.
	AppPasswords []AppPassword `json:"app_passwords,omitempty"`
	// TwoFactor refuses the login password, right or wrong.
	TwoFactor bool `json:"two_factor,omitempty"`
	// Disabled refuses every login, as for an account disabled long ago. See
	// Server.Disable for one that is disabled while it is in use.
	Disabled bool `json:"disabled,omitempty"`
	// Quota in bytes; 0 means unlimited.
	Quota int64 `json:"quota,omitempty"`
}

// AppPassword is a device password of a user.
type AppPassword struct {
	Token string `json:"token"`
	// Login is the only login name that the token works with; empty means the
	// first of User.Logins, or the ID.
	Login string `json:"login,omitempty"`
	// NoFiles takes the right to see files away: OCS answers, the account looks
	// empty.
	NoFiles bool `json:"no_files,omitempty"`
}

// ErrUnknownUser is wrapped by methods that were given the id of nobody.
var ErrUnknownUser = errors.New("unknown user")

type accountState int

const (
	stateActive accountState = iota
	stateDisabled
	stateDisabledInUse
)

type account struct {
	user      User // as it was added; never changed
	home      *home
	state     accountState // under the lock of accounts, as is twoFactor
	twoFactor bool
}

func (a *account) displayName() string {
	if a.user.DisplayName == "" {
		return a.user.ID
	}
	return a.user.DisplayName
}

type token struct {
	account *account
	login   string // lower case
	noFiles bool
	ends    time.Time // zero: not revoked
}

type accounts struct {
	mu     sync.RWMutex
	ids    map[string]*account // by lower-case id
	logins map[string]*account // by lower-case login name, id and email
	tokens map[string]*token
}

func newAccounts() accounts {
	return accounts{
		ids:    make(map[string]*account),
		logins: make(map[string]*account),
		tokens: make(map[string]*token),
	}
}

// AddUser makes a user with an empty home on disk, or with the one that is in
// Config.Dir from before. A user of the same ID is replaced.
func (s *Server) AddUser(u User) error {
	if !filepath.IsLocal(u.ID) || u.ID == "." || strings.ContainsAny(u.ID, `/\`) {
		return fmt.Errorf("add user: %q cannot be a user id", u.ID)
	}
	base := filepath.Join(s.cfg.Dir, u.ID)
	h := newHome(s, filepath.Join(base, "files"), filepath.Join(base, "trash"))
	for _, dir := range []string{h.root, h.trashRoot} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("add user %s: %w", u.ID, err)
		}
	}
	a := &account{user: u, home: h, twoFactor: u.TwoFactor}
	if u.Disabled {
		a.state = stateDisabled
	}
	s.accounts.add(a)
	return nil
}

func (as *accounts) add(a *account) {
	as.mu.Lock()
	defer as.mu.Unlock()
	id := strings.ToLower(a.user.ID)
	maps.DeleteFunc(as.tokens, func(_ string, t *token) bool { return t.account == as.ids[id] })
	as.ids[id] = a
	for _, login := range append([]string{a.user.ID, a.user.Email}, a.user.Logins...) {
		if login != "" {
			as.logins[strings.ToLower(login)] = a
		}
	}
	for _, p := range a.user.AppPasswords {
		as.addToken(a, p)
	}
}

// addToken expects the lock to be held.
func (as *accounts) addToken(a *account, p AppPassword) {
	login := p.Login
	if login == "" && len(a.user.Logins) > 0 {
		login = a.user.Logins[0]
	}
	if login == "" {
		login = a.user.ID
	}
	as.tokens[p.Token] = &token{account: a, login: strings.ToLower(login), noFiles: p.NoFiles}
}

// AddAppPassword gives a user one more app password.
func (s *Server) AddAppPassword(user string, p AppPassword) error {
	a, err := s.account(user)
	if err != nil {
		return fmt.Errorf("add app password: %w", err)
	}
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	s.accounts.addToken(a, p)
	return nil
}

// AppPasswords are those of a user that work, in no order.
func (s *Server) AppPasswords(user string) (tokens []string) {
	s.accounts.mu.RLock()
	defer s.accounts.mu.RUnlock()
	for name, t := range s.accounts.tokens {
		if strings.EqualFold(t.account.user.ID, user) && (t.ends.IsZero() || time.Now().Before(t.ends)) {
			tokens = append(tokens, name)
		}
	}
	return tokens
}

// Revoke ends an app password after a delay; the real server took up to 12 s,
// because logins are cached.
func (s *Server) Revoke(appPassword string, after time.Duration) {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	if t, ok := s.accounts.tokens[appPassword]; ok {
		t.ends = time.Now().Add(after)
	}
}

// Disable ends a user's access while it is in use: WebDAV answers 503, OCS 401.
// Enable gives it back.
func (s *Server) Disable(user string) error { return s.setState(user, stateDisabledInUse) }

// Enable undoes Disable and User.Disabled.
func (s *Server) Enable(user string) error { return s.setState(user, stateActive) }

// SetTwoFactor changes whether the user's login password is refused.
func (s *Server) SetTwoFactor(user string, on bool) error {
	return s.change(user, func(a *account) { a.twoFactor = on })
}

func (s *Server) setState(user string, state accountState) error {
	return s.change(user, func(a *account) { a.state = state })
}

func (s *Server) change(user string, f func(*account)) error {
	a, err := s.account(user)
	if err != nil {
		return fmt.Errorf("change user: %w", err)
	}
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	f(a)
	return nil
}

// Root is the folder on disk that holds the user's files, for seeding and for
// looking at what is left. It is "" for an unknown user.
func (s *Server) Root(user string) string {
	a, err := s.account(user)
	if err != nil {
		return ""
	}
	return a.home.root
}

func (s *Server) account(user string) (*account, error) {
	s.accounts.mu.RLock()
	defer s.accounts.mu.RUnlock()
	if a, ok := s.accounts.ids[strings.ToLower(user)]; ok {
		return a, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknownUser, user)
}
