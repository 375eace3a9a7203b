// Elements are made and filled by text only: nothing that a server or a user named
// is ever parsed as HTML.

export function el(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (value === true) e.setAttribute(name, "");
    else if (value !== false && value != null) e.setAttribute(name, value);
  }
  e.append(...children.filter((c) => c != null && c !== false));
  return e;
}

// text changes an element only where it differs, so that nothing flickers and a
// selection stays.
export function text(e, value) {
  if (e.textContent !== value) e.textContent = value;
}

// keyed keeps one child for each item, in the order of the items, and updates those
// that are there: focus stays where it is.
export function keyed(parent, items, key, make, update) {
  const known = new Map([...parent.children].map((c) => [c.dataset.key, c]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const k = String(key(item));
    let child = known.get(k);
    if (child) known.delete(k);
    else { child = make(item); child.dataset.key = k; }
    update(child, item);
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
  for (const child of known.values()) child.remove();
}

// A table that is laid out as cards on a phone is none to some screen readers any
// more, unless its roles are said.
export function table(caption, head, body) {
  return el("table", { role: "table" }, el("caption", {}, caption), head, body);
}
export const rows = (...children) => el("tbody", { role: "rowgroup" }, ...children);
export const cell = (props, ...children) => el("td", { role: "cell", ...props }, ...children);

// columnHeaders makes the head of a table; a name in brackets is that of numbers.
export function columnHeaders(...names) {
  return el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...names.map((name) =>
    el("th", { scope: "col", role: "columnheader", class: Array.isArray(name) ? "number" : null }, ...[name].flat()))));
}
