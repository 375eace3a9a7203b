import { el, keyed, text } from "./dom.js";
import { expected, kind, moment, number, size, span, visible } from "./format.js";

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

// What was said stays for slow readers, until the next word, a click on it or another view.
function say(message) {
  $("said").replaceChildren(el("p", { onclick: () => $("said").replaceChildren() }, message));
}

// ask opens the dialog and gives whether it was confirmed.
function ask(title, what, yes, secret = false) {
  text($("ask-title"), title); text($("ask-text"), what); text($("ask-yes"), yes);
  $("ask-label").hidden = !secret; $("ask-input").value = "";
  const dialog = $("ask");
  dialog.returnValue = "no";
  dialog.showModal();
  (secret ? $("ask-input") : dialog.querySelector("button")).focus();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
}
$("ask-input").addEventListener("keydown", (e) => { if (e.key === "Enter") { e.preventDefault(); $("ask").close("yes"); } });

$("unlock").addEventListener("click", async () => {
  if (session.authorized) {
    sessionStorage.removeItem("token");
  } else {
    if (!await ask("Unlock", "Actions and the names of files need the token that OPERATOR_TOKEN sets. It is kept until this tab is closed.", "Unlock", true)) return;
    sessionStorage.setItem("token", $("ask-input").value);
    $("ask-input").value = "";
  }
  await refreshSession();
  if (session.authorized) $("said").replaceChildren();
  if (!session.authorized && token()) { sessionStorage.removeItem("token"); say("That is not the token."); }
  route();
});

async function act(path) {
  try { say((await call(path, "POST")).message); } catch (e) { say(e.message); }
}

// One stream at a time; the browser connects again by itself.
let stream;
function follow(path, update) {
  stream?.close();
  const mine = stream = new EventSource("api/" + path);
  const link = (live, what) => { $("link").classList.toggle("live", live); text($("link"), what); };
  mine.addEventListener("state", (e) => { link(true, "live"); update(JSON.parse(e.data)); });
  mine.addEventListener("trouble", (e) => link(false, JSON.parse(e.data).error));
  mine.addEventListener("error", () => link(false, "connecting again"));
}

function page(title, ...content) {
  document.title = title + " · migrations";
  const h1 = el("h1", { tabindex: "-1" }, title);
  main.replaceChildren(h1, ...content);
  if (routed++) h1.focus(); // not on the first: reading starts at the top
}
let routed = 0;

const bar = () => el("progress", { max: "1", "aria-label": "Bytes copied" });

// --- all migrations

function list() {
  const state = el("select", {}, ...[["", "all"], ["pending,running", "active"], ["completed", "completed"], ["failed", "failed"], ["canceled", "canceled"]]
    .map(([value, label]) => el("option", { value }, label)));
  const instance = el("input", { type: "search", placeholder: "alice.cozy.example", autocapitalize: "off", spellcheck: "false" });
  const body = el("tbody");
  const empty = el("p", { class: "muted", hidden: true }, "There are none.");
  const columns = ["Instance", "Status", "Progress", ["Speed", 1], ["Time left", 1], "Worker", ["Leases", 1], "Last error"];
  const table = el("table", {}, el("caption", {}, "Active ones first, then the newest; 200 at most"),
    el("thead", {}, el("tr", {}, ...columns.map((c) => Array.isArray(c) ? el("th", { scope: "col", class: "number" }, c[0]) : el("th", { scope: "col" }, c)))), body);
  page("Migrations", el("div", { class: "filters" }, el("label", {}, "Status", state), el("label", {}, "Instance", instance)), table, empty);
  const start = () => follow("migrations?" + new URLSearchParams({ state: state.value, instance: instance.value.trim() }), (all) => {
    empty.hidden = all.length > 0;
    table.hidden = all.length === 0;
    keyed(body, all, (m) => m.id, row, updateRow);
  });
  state.addEventListener("change", start);
  instance.addEventListener("change", start);
  start();
}

function row(m) {
  return el("tr", {},
    el("th", { scope: "row" }, el("a", { href: "#/m/" + encodeURIComponent(m.id) }, el("bdi", {}, visible(m.instance))), el("div", { class: "muted id" }, visible(m.id))),
    el("td", {}, el("span")),
    el("td", {}, bar(), el("span", { class: "muted" })),
    el("td", { class: "number", "data-label": "Speed" }), el("td", { class: "number", "data-label": "Time left" }),
    el("td", { class: "id", "data-label": "Worker" }), el("td", { class: "number", "data-label": "Leases" }), el("td"));
}

const sums = (m) => `${number(m.files_done)} of ${number(m.files_total)} files, ${size(m.bytes_done)} of ${size(expected(m))}`;
const worker = (owner) => visible(owner.replace(/\/[0-9a-f-]{36}$/, ""));

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
  page("Migration", el("p", { class: "muted id" }, title),
    el("section", { class: "card" }, el("p", {}, status), progress, done, trouble, facts, buttons),
    el("h2", {}, "Not copied"), el("section", { class: "card" }, none, reasons),
    el("h2", {}, "Entries"), entries(path),
    el("h2", {}, "Timeline"), el("section", { class: "card" }, timeline));
  follow(path, (m) => {
    const h1 = main.querySelector("h1");
    text(h1, visible(m.instance));
    document.title = m.instance + " · migrations";
    badge(status, m);
    progress.value = m.progress;
    text(done, `${(100 * m.progress).toFixed(1)} %, ${sums(m)}`);
    trouble.hidden = !m.last_error;
    text(trouble, m.last_error);
    const over = m.finished_at != null;
    keyed(facts, [
      ["Speed", m.owner ? size(m.bytes_per_second) + "/s" : ""], ["Time left", m.owner ? span(m.seconds_left) : ""],
      ["Files", `${number(m.files_done)} copied, ${number(m.files_failed)} failed, ${number(m.files_skipped)} skipped`],
      ["Folders", `${number(m.folders_listed)} of ${number(m.folders_total)} listed, ${number(m.folders_failed)} failed`],
      ["Worker", worker(m.owner ?? "")], ["Leases so far", number(m.attempts)],
      ["Requested", moment(m.requested_at)], ["Started", moment(m.started_at)], ["Finished", moment(m.finished_at)],
      ["Next try", over || m.owner ? "" : moment(m.due_at)],
      ["Tracking document", over && m.behind ? "does not show the end yet" : "written " + (moment(m.mirrored_at) || "never")],
    ].filter(([, value]) => value), ([name]) => name, ([name]) => el("div", {}, el("dt", {}, name), el("dd")), (e, [, value]) => text(e.lastChild, value));
    const lost = m.files_failed + m.folders_failed;
    retry.hidden = m.state === "completed" || m.state === "canceled" || m.owner;
    failed.hidden = lost === 0 || m.state === "canceled";
    cancel.hidden = over;
    buttons.hidden = !session.authorized || retry.hidden && failed.hidden && cancel.hidden;
    none.hidden = m.reasons.length > 0;
    keyed(reasons, m.reasons, (r) => r.result + r.reason, () => el("li"), (li, r) => text(li, `${number(r.count)} ${r.result}: ${r.words}`));
    keyed(timeline, [...m.events].reverse().map((e) => ({ ...e, key: e.at + e.kind + e.worker })), (e) => e.key,
      (e) => el("li", {}, el("time", { class: "muted", datetime: e.at }, moment(e.at)), el("span", {}, e.words, e.worker ? el("div", { class: "muted id" }, worker(e.worker)) : null)), () => {});
  });
}

function entries(path) {
  if (!session.authorized) {
    return el("p", { class: "card muted" }, session.enabled
      ? "The names of files are personal data: unlock this page to see them."
      : "The names of files are personal data. They are shown where OPERATOR_TOKEN is set; migrator show prints them, too.");
  }
  const result = el("select", {}, ...["failed", "skipped", "pending", "done"].map((r) => el("option", {}, r)));
  const body = el("tbody"), empty = el("p", { class: "muted", hidden: true }, "There are none.");
  const table = el("table", {}, el("caption"), el("thead", {}, el("tr", {}, ...["Path", "Why", "When"].map((c) => el("th", { scope: "col" }, c)), el("th", { scope: "col", class: "number" }, "Size"))), body);
  const more = el("button", { type: "button", hidden: true }, "Show more");
  let after = 0;
  const load = async () => {
    try {
      const page = await call(`${path}/entries?` + new URLSearchParams({ result: result.value, after }));
      text(table.caption, `From ${visible(page.source_path)} to ${visible(page.target_dir) || "a folder yet to be known"}`);
      for (const e of page.entries) {
        after = e.id;
        const name = e.target_name ? el("div", { class: "muted" }, "arrived as ", el("bdi", {}, visible(e.target_name))) : null;
        body.append(el("tr", {}, el("th", { scope: "row" }, el("bdi", {}, visible("/" + e.path)), name),
          el("td", {}, [e.words, e.note].filter(Boolean).join(" ")), el("td", { class: "muted" }, moment(e.at)), el("td", { class: "number" }, size(e.size))));
      }
      more.hidden = !page.more;
      empty.hidden = body.childElementCount > 0;
      table.hidden = body.childElementCount === 0;
    } catch (e) { say(e.message); }
  };
  const start = () => { after = 0; body.replaceChildren(); load(); };
  result.addEventListener("change", start);
  more.addEventListener("click", load);
  start();
  return el("div", {}, el("div", { class: "filters" }, el("label", {}, "Result", result), el("button", { type: "button", onclick: start }, "Read again")), table, empty, more);
}

// --- dead letters

async function letters() {
  stream?.close();
  $("link").classList.remove("live"); text($("link"), "not live here");
  const place = el("div");
  page("Dead letters", el("p", { class: "muted" }, "Messages that no redelivery can mend. Mend the cause, then send them again."), place);
  if (!session.authorized) {
    place.append(el("p", { class: "card muted" }, session.enabled ? "Unlock this page to see them." : "They are shown where OPERATOR_TOKEN is set; migrator dead-letters list prints them, too."));
    return;
  }
  try {
    const all = await call("dead-letters");
    if (all.length === 0) { place.append(el("p", { class: "card" }, "There are none.")); return; }
    place.append(el("table", {}, el("thead", {}, el("tr", {}, ...["Migration", "Key", "Why", "Published", ""].map((c) => el("th", { scope: "col" }, c)))),
      el("tbody", {}, ...all.map((d) => el("tr", {}, el("th", { scope: "row", class: "id" }, visible(d.message_id) || "none"), el("td", {}, visible(d.routing_key)), el("td", {}, visible(d.reason)),
        el("td", { class: "muted" }, moment(d.published_at)), el("td", {}, d.message_id ? el("button", { type: "button", onclick: async () => {
          if (!await ask("Send it again?", "It goes to the exchange as it first was.", "Send again")) return;
          await act("dead-letters/" + encodeURIComponent(d.message_id) + "/replay");
          letters();
        } }, "Send again") : null))))));
  } catch (e) { place.append(el("p", { class: "trouble" }, e.message)); }
}

function route() {
  const [, where, id] = location.hash.split("/");
  for (const a of document.querySelectorAll("[data-nav]")) {
    if (a.dataset.nav === (where === "dead-letters" ? "letters" : "list")) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  if (where === "m" && id) one(decodeURIComponent(id));
  else if (where === "dead-letters") letters();
  else if (location.hash !== "#main") list();
}
addEventListener("hashchange", () => {
  $("said").replaceChildren();
  if (location.hash !== "#main") route();
  else main.focus();
});
await refreshSession();
route();
