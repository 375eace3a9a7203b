package sides_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// lockout is how many wrong logins make a Nextcloud refuse everybody who comes
// from the same address.
const lockout = 11

func TestSourceRefusesTheLoginMidway(t *testing.T) { rig.InModes(t, sourceRefusesTheLoginMidway) }

func sourceRefusesTheLoginMidway(t *testing.T, m rig.Mode) {
	s := newStage(t, m, rig.Env{"TRANSFERS": "16", "LISTERS": "4", "SLOTS": "2", "SOURCE_REQUESTS": "8"})
	c := s.newScene(t)
	// Either way the source needs several seconds for them.
	files := rig.Pick(m, 1500, 400)
	c.files("many", files)
	c.spoilSource("", rig.Fault{"method": "GET", "times": -1, "delay": rig.Pick(m, "1s", "250ms")})
	c.start()
	c.awaitMidway(20)
	c.Revoke(c.user)
	revoked := time.Now()
	c.await(contract.StatusFailed, rig.Patience)
	c.measured("failed with its reason", time.Since(revoked))
	refused := s.sourceStats(t).Statuses[http.StatusUnauthorized]
	t.Logf("measured: %d refused requests", refused)
	if refused == 0 || refused > lockout-3 {
		t.Errorf("%d requests were refused, want a handful: at %d the Nextcloud locks our address out", refused, lockout)
	}
	if row := c.row(); row.FilesDone == int64(files) {
		t.Error("all files were copied: nothing was shown")
	}
	c.aftermath(promise{status: contract.StatusFailed, stopped: true, reason: "refuses the login"})
}

func sourceTakesTheAccountAway(t *testing.T, s *stage) {
	midway := func(name string, strike func(c *scene), reason string) {
		s.perform(t, name, func(c *scene) {
			c.files("many", 120+c.ahead())
			c.slowUploads(800)
			c.start()
			c.awaitMidway(4)
			strike(c)
			struck := time.Now()
			c.cozy.Heal()
			c.await(contract.StatusFailed, rig.Patience)
			c.measured("failed with its reason", time.Since(struck))
			failed := c.row().FilesFailed
			if failed > 20 {
				c.t.Errorf("%d files are blamed for what is about all of them", failed)
			}
			c.aftermath(promise{status: contract.StatusFailed, stopped: true, reason: reason, many: failed > 0})
		})
	}
	midway("disabled account", func(c *scene) {
		c.spoilSource("", rig.Fault{
			"times": -1, "status": 503, "exception": `Sabre\DAV\Exception\ServiceUnavailable`, "message": `OC\User\DisabledUserException: Account disabled`,
		})
	}, "refuses the login")
	midway("403 for everything", func(c *scene) {
		c.spoilSource("", rig.Fault{"times": -1, "status": 403, "exception": `Sabre\DAV\Exception\Forbidden`})
	}, "does not allow")
	midway("app password loses its access to files", func(c *scene) { c.setAccess(false) }, "access to files")
}

// setAccess gives the app password access to files or takes it away.
func (c *scene) setAccess(toFiles bool) {
	c.t.Helper()
	ask(c.t, http.MethodPost, c.sourceOrders()+"users", map[string]any{
		"id": c.user.ID, "password": c.user.LoginPassword,
		"app_passwords": []map[string]any{{"token": c.user.AppPassword, "no_files": !toFiles}},
	}, nil)
}

func sourceShowsAnAccountThatIsNotThere(t *testing.T, s *stage) {
	s.perform(t, "an app password without access to files is no empty account", func(c *scene) {
		c.files("many", 5)
		c.setAccess(false)
		c.start()
		c.await(contract.StatusFailed, rig.Patience)
		c.aftermath(promise{status: contract.StatusFailed, stopped: true, reason: "access to files"})
	})
	s.perform(t, "another user's home is no empty account", func(c *scene) {
		c.files("many", 5)
		other := s.newScene(t)
		other.files("theirs", 5)
		c.startByHand(c.NextcloudURL+"/", other.user.ID)
		c.await(contract.StatusFailed, rig.Patience)
		c.aftermath(promise{status: contract.StatusFailed, stopped: true, reason: "access to files"})
	})
	s.perform(t, "an account that is empty is one", func(c *scene) {
		c.start()
		c.await(contract.StatusCompleted, rig.Patience)
		c.aftermath(promise{})
	})
	s.perform(t, "a source path that is not there", func(c *scene) {
		c.files("many", 5)
		order := c.Order(c.user)
		order.SourcePath = "/few"
		c.id = c.trigger.MustStart(c.t, c.cozy, order)
		c.await(contract.StatusFailed, rig.Patience)
		c.aftermath(promise{status: contract.StatusFailed, stopped: true, reason: "does not exist"})
	})
}

// startByHand asks for a migration of an account that no trigger has checked.
func (c *scene) startByHand(url, userID string) {
	c.t.Helper()
	account := c.cozy.AddDocument(contract.DoctypeAccounts, contract.Account{
		AccountType: contract.AccountTypeNextcloud, Name: c.user.ID, WebDAVUserID: userID,
		Auth: contract.AccountAuth{URL: url, Login: c.user.ID, Password: c.user.AppPassword},
	})
	c.id = c.cozy.AddDocument(contract.DoctypeMigrations, contract.NewTracking("/", rig.TargetDir))
	c.Publish(contract.KeyRequested, c.id, `{"migrationId":"`+c.id+`","workplaceFqdn":"`+c.cozy.Host+
		`","accountId":"`+account+`","sourcePath":"/","timestamp":1795432685}`)
}

// metadata is where clouds hand out credentials to whoever asks from inside.
const metadata = "http://169.254.169.254/latest/meta-data/"

func sourceSendsUsElsewhere(t *testing.T, s *stage) {
	var visits atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	t.Cleanup(func() {
		elsewhere.Close()
		if n := visits.Load(); n > 0 {
			t.Errorf("%d requests went where the source sent them", n)
		}
	})
	for name, to := range map[string]string{"another host": elsewhere.URL + "/stolen", "a metadata address": metadata} {
		s.perform(t, "a file redirects to "+name, func(c *scene) {
			c.files("good", 5)
			c.file("bad/away.bin", lone)
			c.spoilSource("bad/away.bin", rig.Fault{"times": -1, "redirect_to": to})
			c.start()
			c.await(contract.StatusCompleted, rig.Patience)
			c.aftermath(promise{failed: map[string]string{"bad/away.bin": "did not answer"}})
		})
		s.perform(t, "the account redirects to "+name, func(c *scene) {
			c.files("good", 5)
			c.spoilSource("", rig.Fault{"times": -1, "redirect_to": to})
			c.start()
			c.await(contract.StatusFailed, rig.Patience)
			c.aftermath(promise{status: contract.StatusFailed, stopped: true, reason: "refuses the login"})
		})
	}
	s.perform(t, "an account at a metadata address is refused before it is dialled", func(c *scene) {
		c.startByHand(strings.TrimSuffix(metadata, "latest/meta-data/"), c.user.ID)
		began := time.Now()
		c.await(contract.StatusFailed, rig.Patience)
		c.measured("failed with its reason", time.Since(began))
		c.aftermath(promise{status: contract.StatusFailed, stopped: true, reason: "address"})
	})
}
