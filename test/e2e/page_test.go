package e2e_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

const operatorToken = "an-operator's-token"

// screens are the widths at which the page is looked at, each in both themes.
var screens = []struct { //nolint:gochecknoglobals // never written
	name          string
	width, height int64
}{{"phone", 390, 844}, {"tablet", 820, 1100}, {"desktop", 1360, 900}}

// audit is an expression that gives what is wrong with a page for those who can't
// see, or can't see well.
//
//go:embed testdata/audit.js
var audit string

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
	// Nothing is drawn on a screen: a process that emulates a GPU only costs.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(found), chromedp.NoSandbox,
		chromedp.Flag("disable-gpu", true), chromedp.WSURLReadTimeout(rig.Patience))
	started, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	tab, closeTab := chromedp.NewContext(started)
	t.Cleanup(closeTab)
	b := &browser{t, tab}
	b.do() // not within the patience of the first action: the browser ends with its context
	return b
}

// perform runs one action within the test's patience and gives its result.
func perform[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.tab, rig.Patience)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return result
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
	return perform(b, chromedp.Evaluate[bool](fmt.Sprintf("((a) => !!(%s))(%s)", expression, quoted)))
}

// says waits until an element shows a text.
func (b *browser) says(selector, text string) {
	b.t.Helper()
	b.await("[...document.querySelectorAll(a[0])].some((e) => e.innerText.includes(a[1]))", selector, text)
}

// press waits for what can be pressed, and does.
func (b *browser) press(selector, text string) {
	b.t.Helper()
	b.await(`((e) => (e?.focus(), e?.click(), e))([...document.querySelectorAll(a[0])].find((e) => e.innerText.includes(a[1]) && e.checkVisibility()))`, selector, text)
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

// key presses one key, as one who has no mouse.
func (b *browser) key(key string) {
	b.t.Helper()
	perform(b, chromedp.KeyEvent(key))
}

// see takes a picture at each width in each theme, audits what is shown, and keeps
// the pictures below .build/artifacts.
func (b *browser) see(r *rig.Rig, name string) {
	b.t.Helper()
	dir := filepath.Join(r.Root(), ".build", "artifacts", "operator-page")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	for _, screen := range screens {
		perform(b, chromedp.EmulateViewport(screen.width, screen.height))
		for _, theme := range []string{"light", "dark"} {
			title := strings.Join([]string{name, screen.name, theme}, "-")
			perform(b, called(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
			}}))
			for _, fault := range perform(b, chromedp.Evaluate[[]string](audit)) {
				b.t.Errorf("%s: %s", title, fault)
			}
			if err := os.WriteFile(filepath.Join(dir, title+".png"), perform(b, chromedp.FullScreenshot(100)), 0o644); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	for _, role := range b.nameless() {
		b.t.Errorf("%s: a %s has no name for a screen reader", name, role)
	}
}

// called is an action of one command of the protocol.
func called[P, R any](command cdp.Command[P, R], params P) chromedp.Action[R] {
	return func(ctx context.Context, target *chromedp.Target) (R, error) {
		return cdp.Call(ctx, target, command, params)
	}
}

// nameless gives the roles of what a screen reader could not name.
func (b *browser) nameless() []string {
	b.t.Helper()
	var found []string
	tree := perform(b, called(accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}))
	heard := 0
	for _, n := range tree.Nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		switch role := decode[string](b.t, n.Role.Value); role {
		case "button", "link", "textbox", "searchbox", "combobox", "progressbar", "dialog", "table", "columnheader", "rowheader", "heading", "image":
			heard++
			if n.Name == nil || decode[string](b.t, n.Name.Value) == "" {
				found = append(found, role)
			}
		}
	}
	if heard == 0 {
		b.t.Error("the page has nothing that a screen reader could name")
	}
	return found
}

// TestAnOperatorWatchesAMigrationAndRetriesWhatFailed walks through the page in a
// real browser while a real migration runs.
func TestAnOperatorWatchesAMigrationAndRetriesWhatFailed(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	r := backends.New(t)
	alice, cozy := r.AddUser("alice"), r.AddInstance(host)
	r.Generate(alice, "photos", manyFiles, 4_000)
	hostile := "<img src=x onerror=document.title='hacked'>\u202egpj.exe"
	if err := os.WriteFile(filepath.Join(alice.Home, hostile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.SpoilNextcloud(rig.Fault{"method": "GET", "path_suffix": "gpj.exe", "status": 403, "times": -1})
	slowUploads(r, cozy, 3000)
	settings := rig.Env{"OPERATOR_TOKEN": operatorToken, "TRANSFERS": "2", "ARCHIVES": "false"}
	migrator := r.StartMigrator(settings)
	id := r.StartTrigger(nil).MustStart(t, cozy, r.Order(alice))

	b.do(chromedp.Navigate(migrator.OperationsURL()))
	b.says("tbody th", host)
	b.says(".badge", "running")
	b.says("#link", "live")
	b.see(r, "list")
	b.key(kb.Tab)
	b.await(`document.activeElement.matches(".skip")`)
	b.key(kb.Enter)
	b.await(`document.activeElement.matches("main")`)
	b.press("tbody a", host)
	b.says("h1", host)
	b.await(`document.activeElement.matches("h1")`)
	b.says(".timeline", "A worker began")
	b.says("main", "unlock this page")
	if b.holds(`[...document.querySelectorAll(".buttons button")].some((e) => e.checkVisibility())`) {
		t.Error("actions are offered without the token")
	}

	b.unlock("wrong")
	b.says("#said", "That is not the token")
	b.unlock(operatorToken)
	b.says("#unlock", "Lock")
	b.says(".buttons button", "Cancel the migration")
	b.await("document.querySelector('progress').value > 0")
	b.says("dl.facts", "files, at most 2") // as the lease's renewal told
	b.says("tbody th", "<img src=x onerror=document.title='hacked'>\ufffdgpj.exe")
	b.see(r, "running")
	b.staysQuiet()

	b.press(".buttons button", "Cancel the migration")
	b.await(`document.activeElement.matches("#ask-no")`)
	b.see(r, "confirm")
	b.key(kb.Escape)
	b.await(`document.activeElement.matches(".buttons .danger")`)

	// The page outlives the process that serves it.
	migrator.Stop(t)
	b.says("#link", "connecting again")
	settings["OPS_ADDR"] = strings.TrimPrefix(migrator.OperationsURL(), "http://")
	r.LaunchMigrator(settings)
	b.says("#link", "live")
	b.says(".timeline", "The worker gave it back")

	r.HealCozy()
	cozy.AwaitStatus(id, contract.StatusCompleted, rig.Patience)
	b.says(".badge", "completed, 1 entry failed")
	b.await(`document.querySelector("#told").textContent.includes(a[0])`, "completed, 1 entry failed")
	b.says(".reasons", "1 failed")
	b.says("tbody th", "gpj.exe")
	b.see(r, "failed")
	b.await("document.title.startsWith(a[0])", host)
	b.filters("done", "photos/")
	b.filters("failed", "gpj.exe")

	r.HealNextcloud()
	b.await(`((e) => (e?.focus(), e?.checkVisibility()))(document.querySelector(".buttons .primary"))`)
	b.key(kb.Enter)
	b.says("#said", "1 entry put back")
	b.says(".timeline", "An operator had it tried again")
	b.says("main", "Nothing")
	rig.Await(t, rig.Patience, "all files", func() bool { return filesDone(t, r, id) == manyFiles+1 })
	b.says(".badge.completed", "completed")
	b.await(`document.activeElement.matches("h1")`) // the button is gone
	wantEqual(t, r.Files(alice), cozy)

	b.goes("#/m/nobody", "the ledger has no such migration")
	r.Publish(contract.KeyRequested, id, "no JSON")
	rig.Await(t, rig.Patience, "dead letter on the page", func() bool {
		b.goes("#/", "Active ones first")
		b.goes("#/dead-letters", "as of")
		return b.holds(`document.querySelector("main table")`)
	})
	b.see(r, "dead-letters")
	b.press("main td button", "Send again")
	b.press("#ask button", "Send again")
	b.says("#said", "1 dead letter sent again") // once, although it dies again
}

// manyFiles do not end, at two in three seconds, however slow a machine takes
// pictures.
const manyFiles = 400

// unlock types a token.
func (b *browser) unlock(token string) {
	b.t.Helper()
	b.press("#unlock", "Unlock")
	b.await(`document.activeElement.matches("#ask-input")`)
	for _, r := range token {
		b.key(string(r))
	}
	b.key(kb.Enter)
}

// goes follows a link of the page and waits until it says a text.
func (b *browser) goes(hash, text string) {
	b.t.Helper()
	b.await("(location.hash = a[0])", hash)
	b.says("main", text)
}

// filters has entries of one result shown.
func (b *browser) filters(result, path string) {
	b.t.Helper()
	b.await(`((e) => (e.value = a[0], e.dispatchEvent(new Event("change"))))(document.querySelector("main select"))`, result)
	b.says("tbody th", path)
}

// staysQuiet: numbers that change are no news for a screen reader.
func (b *browser) staysQuiet() {
	b.t.Helper()
	b.await(`(window.spoken = [], document.querySelectorAll("[role=status], [aria-live]").forEach((e) =>
		new MutationObserver(() => spoken.push(e.textContent)).observe(e, { childList: true, subtree: true, characterData: true })), true)`)
	b.await(`(window.changes = 0, new MutationObserver((all) => changes += all.length).observe(document.querySelector("progress"), { attributes: true }), true)`)
	b.await("changes >= 3")
	if !b.holds("spoken.length === 0") {
		b.t.Error("a screen reader is told of each change of the numbers")
	}
}
