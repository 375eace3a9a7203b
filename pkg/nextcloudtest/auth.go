package nextcloudtest

import (
	"crypto/rand"
	"net"
	"net/http"
	"strings"
	"time"
)

// session is a login that was accepted.
type session struct {
	account *account
	token   string // empty: logged in by the login password
	noFiles bool
}

func (c *session) ownsID(user string) bool {
	a := c.account.user
	return strings.EqualFold(user, a.ID) || (a.Email != "" && strings.EqualFold(user, a.Email))
}

// refusal says why there is no session.
type refusal int

const (
	accepted refusal = iota
	refusedAnonymous
	refusedWrong
	refusedPasswordLogin // two-factor: only app passwords
	refusedThrottled
	refusedDisabled
	refusedDisabledInUse
)

// login checks the credentials of a request and counts wrong ones.
func (s *Server) login(r *http.Request) (*session, refusal) {
	name, password, given := credentials(r)
	if !given {
		return nil, refusedAnonymous
	}
	addr := clientAddress(r)
	if s.cfg.Version >= Version32 && s.throttle.holds(addr) {
		return nil, refusedThrottled
	}
	c, why := s.accounts.check(name, password)
	switch why {
	case refusedWrong:
		s.throttle.count(addr, name)
	case accepted:
		s.throttle.forgive(addr, name)
	default:
	}
	return c, why
}

func credentials(r *http.Request) (name, password string, given bool) {
	if name, password, given = r.BasicAuth(); given {
		return name, password, true
	}
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return "", bearer, ok
}

func (as *accounts) check(name, password string) (*session, refusal) {
	as.mu.RLock()
	defer as.mu.RUnlock()
	login := strings.ToLower(name)
	if t, ok := as.tokens[password]; ok && (name == "" || t.login == login) {
		if !t.ends.IsZero() && !time.Now().Before(t.ends) {
			return nil, refusedWrong
		}
		return t.account.open(&session{account: t.account, token: password, noFiles: t.noFiles})
	}
	a, ok := as.logins[login]
	if !ok || password == "" || a.user.Password != password {
		return nil, refusedWrong
	}
	if a.twoFactor {
		return nil, refusedPasswordLogin
	}
	return a.open(&session{account: a})
}

func (a *account) open(c *session) (*session, refusal) {
	switch a.state {
	case stateDisabled:
		return nil, refusedDisabled
	case stateDisabledInUse:
		return nil, refusedDisabledInUse
	default:
		return c, accepted
	}
}

// issueToken makes an app password for the name that the request logged in with.
func (as *accounts) issueToken(r *http.Request, a *account) string {
	name, _, _ := r.BasicAuth()
	t := rand.Text() + rand.Text() + rand.Text()
	as.mu.Lock()
	defer as.mu.Unlock()
	as.addToken(a, AppPassword{Token: t[:72], Login: name})
	return t[:72]
}

func clientAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
