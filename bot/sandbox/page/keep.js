// Changes only what changed, so that a click, a selection and the keyboard's focus outlive every refresh.
"use strict";

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null));
  return made;
}

function set(node, property, value) {
  if (node[property] !== value) node[property] = value;
}

// The children of `parent` become these items, in this order: {key, value, make(), fill(node)}.
// One is made anew only if its value changed; `fill` is for what it holds, and runs every time. What stands first in
// `parent` and has no key, as a table's head, stays.
function keep(parent, items) {
  const keyed = () => [...parent.children].filter((child) => child.key !== undefined);
  const old = new Map(keyed().map((child) => [child.key, child]));
  const nodes = items.map(({key, value, make, fill}) => {
    const said = JSON.stringify(value);
    const before = old.get(key);
    old.delete(key);
    const node = before && before.said === said ? before : Object.assign(make(), {key, said});
    if (before && before !== node) swap(before, node);
    if (fill) fill(node);
    return node;
  });
  for (const gone of old.values()) gone.remove();
  let at = keyed()[0] || null;
  for (const node of nodes) {
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
}

function swap(before, after) {
  const focused = before.contains(document.activeElement) ? document.activeElement : null;
  before.replaceWith(after);
  if (focused) focusLike(focused, after);
}

const USABLE = "button, select, input, textarea, a[href]";
const nameOf = (one) => `${one.tagName} ${one.getAttribute("aria-label") || (one.closest("label") || one).textContent}`;

// Focus goes to what bears the same name, or nowhere: under the Enter key nothing may become something else.
function focusLike(gone, place) {
  const same = [...place.querySelectorAll(USABLE)].find((one) => nameOf(one) === nameOf(gone));
  if (!same) return;
  same.focus({preventScroll: true});
  if (gone.tagName === "TEXTAREA" || gone.type === "text") same.setSelectionRange(gone.selectionStart, gone.selectionEnd);
}
