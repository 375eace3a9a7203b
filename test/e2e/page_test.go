package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

const operatorToken = "an-operator's-token"

// screens are the widths at which the page is looked at.
var screens = []struct { //nolint:gochecknoglobals // never written
	name          string
	width, height int64
	dark          bool
}{{"phone", 390, 844, false}, {"tablet", 820, 1100, true}, {"desktop", 1360, 900, false}}

// browser is a tab of a headless Chromium.
type browser struct {
	t   *testing.T
	tab context.Context
}

// openBrowser starts a headless Chromium that ends with the test. Without one
// the test is skipped, under CI it fails.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	found := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			found = path
			break
		}
	}
	if found == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no Chromium: CI has to look at the operator's page")
		}
		t.Skip("there is no Chromium: the operator's page is not looked at")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(found), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(rig.Patience))
	started, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	tab, closeTab := chromedp.NewContext(started)
	t.Cleanup(closeTab)
	return &browser{t, tab}
}

// do runs actions one after the other.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.tab, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// holds asks the page whether an expression is true. Not by chromedp's own polls:
// they make functions of strings, which the page's policy forbids.
func (b *browser) holds(expression string, args ...string) bool {
	b.t.Helper()
	quoted, err := json.Marshal(args)
	if err != nil {
		b.t.Fatal(err)
	}
	ok, err := chromedp.Run(b.tab, chromedp.Evaluate[bool](fmt.Sprintf("((a) => !!(%s))(%s)", expression, quoted)))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return ok
}

// says waits until an element shows a text.
func (b *browser) says(selector, text string) {
	b.t.Helper()
	b.await("[...document.querySelectorAll(a[0])].some((e) => e.innerText.includes(a[1]))", selector, text)
}

// press waits for what can be pressed, and does.
func (b *browser) press(selector, text string) {
	b.t.Helper()
	b.await(`((e) => (e?.click(), e))([...document.querySelectorAll(a[0])].find((e) => e.innerText.includes(a[1]) && e.checkVisibility()))`, selector, text)
}

func (b *browser) await(expression string, args ...string) {
	b.t.Helper()
	deadline := time.Now().Add(rig.Patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !b.holds(expression, args...) {
		if time.Now().After(deadline) {
			page, _ := chromedp.Run(b.tab, chromedp.Text("body"))
			b.t.Fatalf("never on the page: %q; it says:\n%s", args, page)
		}
		<-tick.C
	}
}

// see takes a picture at each width and keeps them below .build/screens.
func (b *browser) see(r *rig.Rig, name string) {
	b.t.Helper()
	dir := filepath.Join(r.Root(), ".build", "screens")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	for _, s := range screens {
		theme := "light"
		if s.dark {
			theme = "dark"
		}
		b.do(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
			_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
			})
			return chromedp.Void{}, err
		}, chromedp.EmulateViewport(s.width, s.height))
		if b.holds("document.documentElement.scrollWidth > innerWidth") {
			b.t.Errorf("%s has to be scrolled sideways on a %s", name, s.name)
		}
		picture, err := chromedp.Run(b.tab, chromedp.FullScreenshot(100))
		if err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+"-"+s.name+".png"), picture, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
}

// TestAnOperatorWatchesAMigrationAndRetriesWhatFailed walks through the page in a
// real browser while a real migration runs.
func TestAnOperatorWatchesAMigrationAndRetriesWhatFailed(t *testing.T) {
	t.Parallel()
	if os.Getenv("FAULTS_FULL") == "" {
		t.Skip("FAULTS_FULL is not set: the operator's page is not walked through in a browser")
	}
	b := openBrowser(t)
	r := backends.New(t)
	alice, cozy := r.AddUser("alice"), r.AddInstance(host)
	r.Generate(alice, "photos", 60, 40_000)
	hostile := "<img src=x onerror=document.title='hacked'>\u202egpj.exe"
	if err := os.WriteFile(filepath.Join(alice.Home, hostile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.SpoilNextcloud(rig.Fault{"method": "GET", "path_suffix": "gpj.exe", "status": 403, "times": -1})
	slowUploads(r, cozy, 3000) // it must not end while a slow machine takes pictures
	migrator := r.StartMigrator(rig.Env{"OPERATOR_TOKEN": operatorToken, "TRANSFERS": "2", "ARCHIVES": "false"})
	id := r.StartTrigger(nil).MustStart(t, cozy, r.Order(alice))

	b.do(chromedp.Navigate(migrator.OperationsURL()))
	b.says("tbody th", host)
	b.says(".badge", "running")
	b.says("#link", "live")
	b.see(r, "list")
	b.press("tbody a", host)
	b.says("h1", host)
	b.says(".timeline", "A worker began")
	b.says("main", "unlock this page")

	b.press("#unlock", "Unlock")
	b.do(chromedp.SendKeys("#ask-input", "wrong\r"))
	b.says("#said", "That is not the token")
	b.press("#unlock", "Unlock")
	b.do(chromedp.SendKeys("#ask-input", operatorToken+"\r"))
	b.says("#unlock", "Lock")
	b.says(".buttons button", "Cancel the migration")
	b.await("document.querySelector('progress').value > 0")
	b.see(r, "running")

	r.HealCozy()
	cozy.AwaitStatus(id, contract.StatusCompleted, rig.Patience)
	b.says(".badge", "completed, 1 entry failed")
	b.says(".reasons", "1 failed")
	b.press("main button", "Read again")
	b.says("tbody th", "<img src=x onerror=document.title='hacked'>\ufffdgpj.exe")
	b.see(r, "failed")
	if title, err := chromedp.Run(b.tab, chromedp.Title()); err != nil || !strings.HasPrefix(title, host) {
		t.Errorf("the title is %q, %v", title, err)
	}

	r.HealNextcloud()
	b.press(".buttons button", "Retry failed entries")
	b.says("#said", "1 entry put back")
	b.says(".timeline", "An operator had it tried again")
	b.says("main", "Nothing so far")
	rig.Await(t, rig.Patience, "all files", func() bool { return filesDone(t, r, id) == 61 })
	b.says(".badge.completed", "completed")
	wantEqual(t, r.Files(alice), cozy)

	r.Publish(contract.KeyRequested, id, "no JSON")
	rig.Await(t, rig.Patience, "dead letter on the page", func() bool {
		b.do(chromedp.Evaluate[chromedp.Void](`location.hash = "#/"`))
		b.says("h1", "Migrations")
		b.do(chromedp.Evaluate[chromedp.Void](`location.hash = "#/dead-letters"`))
		b.says("h1", "Dead letters")
		b.await(`document.querySelector("main table, main .card")`)
		return b.holds(`document.querySelector("main table")`)
	})
	b.see(r, "dead-letters")
	b.press("main button", "Send again")
	b.press("#ask button", "Send again")
	b.says("#said", "1 dead letters sent again")
}
