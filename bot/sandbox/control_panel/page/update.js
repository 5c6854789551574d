// Replaces only the parts of the page that changed, so that a press, a selection and the focus survive a refresh.
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

// Makes these items the children of `parent`, in this order. An item is {key, value, make(), fill(node)}: `make` creates
// its node, again only when `value` has changed; `fill` updates the node's content at every call. Leading children
// without a key, such as the head of a table, remain.
function updateChildren(parent, items) {
  const keyed = () => [...parent.children].filter((child) => child.key !== undefined);
  const old = new Map(keyed().map((child) => [child.key, child]));
  const nodes = items.map(({key, value, make, fill}) => {
    const serialized = JSON.stringify(value);
    const before = old.get(key);
    old.delete(key);
    const node = before && before.serialized === serialized ? before : Object.assign(make(), {key, serialized});
    if (before && before !== node) replaceNode(before, node);
    if (fill) fill(node);
    return node;
  });
  for (const removed of old.values()) removed.remove();
  let next = keyed()[0] || null;
  for (const node of nodes) {
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
}

function replaceNode(before, after) {
  const focused = before.contains(document.activeElement) ? document.activeElement : null;
  before.replaceWith(after);
  if (focused) focusEquivalent(focused, after);
}

const FOCUSABLE = "button, select, input, textarea, a[href]";
const nameOf = (node) => `${node.tagName} ${node.getAttribute("aria-label") || (node.closest("label") || node).textContent}`;

// Focuses the element in `parent` with the same name as a removed one. Without one the focus is lost, which is intended:
// the Enter key must not press a different button.
function focusEquivalent(removed, parent) {
  const same = [...parent.querySelectorAll(FOCUSABLE)].find((node) => nameOf(node) === nameOf(removed));
  if (!same) return;
  same.focus({preventScroll: true});
  if (removed.tagName === "TEXTAREA" || removed.type === "text") same.setSelectionRange(removed.selectionStart, removed.selectionEnd);
}
