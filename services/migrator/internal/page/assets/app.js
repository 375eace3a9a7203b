import { cell, columnHeaders, el, keyed, rows, table, text } from "./dom.js";
import { expected, kind, moment, number, size, span, visible, zone } from "./format.js";

const $ = (id) => document.getElementById(id);
const main = $("main");

// The token lives as long as this tab, and travels in a header alone.
const token = () => sessionStorage.getItem("token") ?? "";
let session = { enabled: false, authorized: false };

async function call(path, method = "GET") {
  const headers = token() ? { Authorization: "Bearer " + token() } : {};
  const answer = await fetch("api/" + path, { method, headers, cache: "no-store" });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error ?? "The server answered " + answer.status + ".");
  return body;
}

async function refreshSession() {
  session = await call("session").catch(() => session);
  $("unlock").hidden = !session.enabled;
  text($("unlock"), session.authorized ? "Lock" : "Unlock");
}

// What was said stays for slow readers, until the next word, its button or another view.
function say(message) {
  $("said").replaceChildren(el("p", {}, el("span", {}, message), el("button", { type: "button", onclick: () => { unsay(); main.querySelector("h1")?.focus(); } }, "Close")));
}
function unsay() { $("said").replaceChildren(); }

// ask opens the dialog and gives whether it was confirmed.
function ask(title, what, yes, secret = false) {
  text($("ask-title"), title); text($("ask-text"), what); text($("ask-yes"), yes);
  $("ask-label").hidden = !secret; $("ask-input").value = "";
  const dialog = $("ask");
  dialog.returnValue = "no";
  dialog.showModal();
  $(secret ? "ask-input" : "ask-no").focus();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
}
$("ask-no").addEventListener("click", () => $("ask").close("no")); // no submit button: Enter means the other

$("unlock").addEventListener("click", async () => {
  if (session.authorized) {
    sessionStorage.removeItem("token");
  } else {
    if (!await ask("Unlock", "Actions and the names of files need the token that OPERATOR_TOKEN sets. It is kept until this tab is closed.", "Unlock", true)) return;
    sessionStorage.setItem("token", $("ask-input").value);
    $("ask-input").value = "";
  }
  await refreshSession();
  if (session.authorized) unsay();
  if (!session.authorized && token()) { sessionStorage.removeItem("token"); say("That is not the token."); }
  route();
});

async function act(path) {
  try { say((await call(path, "POST")).message); } catch (e) { say(e.message); }
}

// One stream at a time, and none while nobody looks: a browser has few connections
// for one server, and an operator many tabs.
let stream, again, following;
function follow(path, update, trouble = () => {}) {
  following = () => {
    unfollow();
    const mine = stream = new EventSource("api/" + path);
    mine.addEventListener("state", (e) => { link("live", true); update(JSON.parse(e.data)); });
    mine.addEventListener("trouble", (e) => { const { error } = JSON.parse(e.data); link(error); trouble(error); });
    mine.addEventListener("error", () => {
      link("connecting again");
      // A browser gives up on a server that answers anything but a stream.
      if (mine.readyState === EventSource.CLOSED) again = setTimeout(following, 3000);
    });
  };
  if (!document.hidden) following();
}
function unfollow() { clearTimeout(again); stream?.close(); }
function link(what, live = false) { $("link").hidden = false; $("link").classList.toggle("live", live); text($("link"), what); }
document.addEventListener("visibilitychange", () => { if (document.hidden) unfollow(); else following?.(); });

function page(title, ...content) {
  document.title = title + " · migrations";
  const h1 = el("h1", { tabindex: "-1" }, title);
  main.replaceChildren(h1, ...content);
  if (routed++) h1.focus(); // not on the first: reading starts at the top
}
let routed = 0;

const bar = () => el("progress", { max: "1", "aria-label": "Bytes copied" });

// told are the last words for screen readers alone: changes that nobody asked for.
function tell(message) { text($("told"), message); }

// --- all migrations

const filter = { state: "", instance: "" }; // kept while one migration is looked at

function list() {
  const state = el("select", {}, ...[["", "all"], ["pending,running", "active"], ["completed", "completed"], ["failed", "failed"], ["canceled", "canceled"]]
    .map(([value, label]) => el("option", { value }, label)));
  const instance = el("input", { type: "search", placeholder: "alice.cozy.example", autocapitalize: "off", spellcheck: "false" });
  state.value = filter.state; instance.value = filter.instance;
  const body = rows();
  const empty = el("p", { class: "card muted", hidden: true });
  const all = table("Active ones first, then the newest; 200 at most",
    columnHeaders("Instance", "Status", "Progress", ["Speed"], ["Time left"], "Worker", ["Leases"], "Last error"), body);
  all.hidden = true;
  page("Migrations", el("div", { class: "filters" }, el("label", {}, "Status", state), el("label", {}, "Instance, its whole name", instance)), all, empty);
  const start = () => {
    filter.state = state.value; filter.instance = instance.value.trim();
    follow("migrations?" + new URLSearchParams(filter), (found) => {
      empty.hidden = found.length > 0;
      text(empty, filter.state || filter.instance ? "None of the migrations is like that." : "There are no migrations yet.");
      all.hidden = found.length === 0;
      keyed(body, found, (m) => m.id, row, updateRow);
    });
  };
  state.addEventListener("change", start);
  instance.addEventListener("change", start);
  start();
}

function row(m) {
  return el("tr", { role: "row" },
    el("th", { scope: "row", role: "rowheader" }, el("a", { href: "#/m/" + encodeURIComponent(m.id) }, el("bdi", {}, visible(m.instance))), el("div", { class: "muted id" }, visible(m.id))),
    cell({}, el("span")),
    cell({}, bar(), el("span", { class: "muted" })),
    cell({ class: "number", "data-label": "Speed" }), cell({ class: "number", "data-label": "Time left" }),
    cell({ class: "worker", "data-label": "Worker" }), cell({ class: "number", "data-label": "Leases" }), cell({ "data-label": "Last error" }));
}

const sums = (m) => `${number(m.files_done)} of ${number(m.files_total)} files, ${size(m.bytes_done)} of ${size(expected(m))}`;
const worker = (owner) => visible(owner.replace(/\/[0-9a-f-]{36}$/, ""));

// places tells how many files at once a server is asked for by the worker, for all its migrations.
const places = (p) => !p ? "" : p.most === 0 ? "without a bound" : `${number(p.used)} of ${number(p.limit)} files, at most ${number(p.most)}`;

function updateRow(tr, m) {
  const [, status, progress, speed, left, owner, leases, error] = tr.children;
  badge(status.firstChild, m);
  progress.firstChild.value = m.progress;
  text(progress.lastChild, sums(m));
  text(speed, m.state === "running" && m.owner ? size(m.bytes_per_second) + "/s" : "");
  text(left, m.owner ? span(m.seconds_left) : "");
  text(owner, worker(m.owner ?? ""));
  text(leases, number(m.attempts));
  text(error, m.last_error);
}

function badge(e, m) {
  const name = "badge " + kind(m);
  if (e.className !== name) e.className = name;
  text(e, m.status);
}

// --- one migration

function one(id) {
  const path = "migrations/" + encodeURIComponent(id);
  const status = el("span"), progress = bar(), done = el("span"), trouble = el("p", { class: "trouble", hidden: true });
  const facts = el("dl", { class: "facts" }), timeline = el("ol", { class: "timeline" }), reasons = el("ul", { class: "reasons" });
  const none = el("p", { class: "muted" }, "Nothing so far.");
  const retry = el("button", { type: "button", onclick: () => act(path + "/retry") }, "Retry now");
  const failed = el("button", { type: "button", class: "primary", onclick: () => act(path + "/retry?failed=true") }, "Retry failed entries");
  const cancel = el("button", { type: "button", class: "danger", onclick: async () => {
    if (await ask("Cancel this migration?", "As if its user had. It never runs again; what is copied stays.", "Cancel the migration")) act(path + "/cancel");
  } }, "Cancel the migration");
  const buttons = el("div", { class: "buttons" }, retry, failed, cancel);
  const title = el("bdi", {}, visible(id));
  const missing = el("p", { class: "card" }, "Asking the ledger.");
  const listed = entries(path);
  const all = el("div", { hidden: true },
    el("section", { class: "card" }, status, progress, done, trouble, facts, buttons),
    el("h2", {}, "Not copied"), el("section", { class: "card" }, none, reasons),
    el("h2", {}, "Entries"), listed.element,
    el("h2", {}, "Timeline"), el("section", { class: "card" }, timeline, el("p", { class: "muted" }, "Times are those of ", zone, ".")));
  page("Migration", el("p", { class: "muted id" }, title), missing, all);
  let before;
  follow(path, (m) => {
    missing.hidden = true; all.hidden = false;
    const h1 = main.querySelector("h1");
    text(h1, visible(m.instance));
    document.title = m.instance + " · migrations";
    badge(status, m);
    if (before && kind(before) !== kind(m)) tell(`${m.instance}: ${m.status}`);
    listed.changed(before, m);
    before = m;
    progress.value = m.progress;
    text(done, `${(100 * m.progress).toFixed(1)} %, ${sums(m)}`);
    trouble.hidden = !m.last_error;
    text(trouble, m.last_error);
    const over = m.finished_at != null;
    keyed(facts, [
      ["Speed", m.owner ? size(m.bytes_per_second) + "/s" : ""], ["Time left", m.owner ? span(m.seconds_left) : ""],
      ["Files", `${number(m.files_done)} copied, ${number(m.files_failed)} failed, ${number(m.files_skipped)} skipped`],
      ["Folders", `${number(m.folders_listed)} of ${number(m.folders_total)} listed, ${number(m.folders_failed)} failed`],
      ["Nextcloud at once", places(m.parallel?.source)], ["Cozy at once", places(m.parallel?.target)],
      ["Worker", worker(m.owner ?? "")], ["Leases so far", number(m.attempts)],
      ["Requested", moment(m.requested_at)], ["Started", moment(m.started_at)], ["Finished", moment(m.finished_at)],
      ["Next try", over || m.owner ? "" : moment(m.due_at)],
      ["Tracking document", over && m.behind ? "does not show the end yet" : "written " + (moment(m.mirrored_at) || "never")],
    ].filter(([, value]) => value), ([name]) => name, ([name]) => el("div", {}, el("dt", {}, name), el("dd")), (e, [, value]) => text(e.lastChild, value));
    const focused = buttons.contains(document.activeElement) && document.activeElement;
    const lost = m.files_failed + m.folders_failed;
    retry.hidden = m.state === "completed" || m.state === "canceled" || m.owner;
    failed.hidden = lost === 0 || m.state === "canceled";
    cancel.hidden = over;
    buttons.hidden = !session.authorized || retry.hidden && failed.hidden && cancel.hidden;
    if (focused && !focused.checkVisibility()) h1.focus(); // a button that was pressed may be gone
    none.hidden = m.reasons.length > 0;
    text(none, over ? "Nothing." : "Nothing so far.");
    keyed(reasons, m.reasons, (r) => r.result + r.reason, () => el("li"), (li, r) => text(li, `${number(r.count)} ${r.result}: ${r.words}`));
    keyed(timeline, [...m.events].reverse().map((e) => ({ ...e, key: e.at + e.kind + e.worker })), (e) => e.key,
      (e) => el("li", {}, el("time", { class: "muted", datetime: e.at }, moment(e.at)), el("span", {}, e.words, e.worker ? el("div", { class: "muted id" }, worker(e.worker)) : null)), () => {});
  }, (error) => text(missing, error));
}

// entries gives its element, and what is to be called when the migration changed.
function entries(path) {
  if (!session.authorized) {
    return { changed() {}, element: el("p", { class: "card muted" }, session.enabled
      ? "The names of files are personal data: unlock this page to see them."
      : "The names of files are personal data. They are shown where OPERATOR_TOKEN is set; migrator show prints them, too.") };
  }
  const result = el("select", {}, ...["failed", "skipped", "pending", "done"].map((r) => el("option", {}, r)));
  const body = rows(), empty = el("p", { class: "card muted", hidden: true }, "There are none.");
  const found = table("", columnHeaders("Path", "Why", "When", ["Size"]), body);
  const more = el("button", { type: "button", hidden: true }, "Show more");
  let after = 0, reading = 0;
  const load = async (from) => {
    const mine = ++reading; // of answers that overtake each other the last question's counts
    try {
      const page = await call(`${path}/entries?` + new URLSearchParams({ result: result.value, after: from }));
      if (mine !== reading) return;
      if (from === 0) body.replaceChildren();
      text(found.caption, `From ${visible(page.source_path)} to ${visible(page.target_dir) || "a folder yet to be known"}`);
      const added = page.entries.map(entryRow);
      body.append(...added);
      after = page.entries.at(-1)?.id ?? from;
      if (from > 0 && added.length > 0) { added[0].tabIndex = -1; added[0].focus(); } // reading goes on there
      more.hidden = !page.more;
      empty.hidden = body.childElementCount > 0;
      found.hidden = body.childElementCount === 0;
    } catch (e) { say(e.message); }
  };
  const start = () => load(0);
  result.addEventListener("change", start);
  more.addEventListener("click", () => load(after));
  start();
  return {
    // What failed and was skipped comes by itself, unless further pages are open.
    changed(before, m) {
      const sum = { failed: (m) => m.files_failed + m.folders_failed, skipped: (m) => m.files_skipped + m.folders_skipped }[result.value];
      if (sum && before && sum(before) !== sum(m) && body.childElementCount <= 200) start();
    },
    element: el("div", {}, el("div", { class: "filters" }, el("label", {}, "Result", result), el("button", { type: "button", onclick: start }, "Read again")), found, empty, more),
  };
}

function entryRow(e) {
  const name = e.target_name ? el("div", { class: "muted" }, "arrived as ", el("bdi", {}, visible(e.target_name))) : null;
  return el("tr", { role: "row" }, el("th", { scope: "row", role: "rowheader" }, el("bdi", {}, visible("/" + e.path)), name),
    cell({}, [e.words, e.note].filter(Boolean).join(" ")), cell({ class: "muted" }, moment(e.at)), cell({ class: "number", "data-label": "Size" }, size(e.size)));
}

// --- dead letters

async function letters() {
  unfollow();
  following = undefined;
  $("link").hidden = true; // to look at them is work for the broker: not live
  const place = el("div");
  page("Dead letters", el("p", { class: "muted" }, "Messages that no redelivery can mend. Mend the cause, then send them again."), place);
  if (!session.authorized) {
    place.append(el("p", { class: "card muted" }, session.enabled ? "Unlock this page to see them." : "They are shown where OPERATOR_TOKEN is set; migrator dead-letters list prints them, too."));
    return;
  }
  const readAgain = el("button", { type: "button", onclick: letters }, "Read again");
  const at = moment(new Date());
  try {
    const all = await call("dead-letters");
    place.append(el("div", { class: "filters read" }, readAgain, el("span", { class: "muted" }, "as of " + at)),
      all.length === 0 ? el("p", { class: "card" }, "There are none.")
        : table("The oldest first; 200 at most", columnHeaders("Migration", "Key", "Why", "Published", "Action"), rows(...all.map(letterRow))));
  } catch (e) { place.append(el("p", { class: "trouble" }, e.message), readAgain); }
}

function letterRow(d) {
  const send = el("button", { type: "button", "aria-label": "Send again " + visible(d.message_id), onclick: async () => {
    if (!await ask("Send it again?", "It goes to the exchange as it first was.", "Send again")) return;
    await act("dead-letters/" + encodeURIComponent(d.message_id) + "/replay");
    letters();
  } }, "Send again");
  return el("tr", { role: "row" }, el("th", { scope: "row", role: "rowheader", class: "id" }, visible(d.message_id) || "none"),
    cell({ "data-label": "Key" }, visible(d.routing_key)), cell({ "data-label": "Why" }, visible(d.reason)),
    cell({ class: "muted", "data-label": "Published" }, moment(d.published_at)), cell({}, d.message_id ? send : "migrator dead-letters"));
}

function route() {
  const [, where, id] = location.hash.split("/");
  for (const a of document.querySelectorAll("[data-nav]")) {
    if (a.dataset.nav === (where === "dead-letters" ? "letters" : "list")) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  if (where === "m" && id) one(decodeURIComponent(id));
  else if (where === "dead-letters") letters();
  else list();
}
addEventListener("hashchange", () => { unsay(); route(); });
document.querySelector(".skip").addEventListener("click", (e) => { e.preventDefault(); main.focus(); });
await refreshSession();
route();
