// Dialogs over the page: the confirmation of a button, and modals. The browser keeps the focus inside an open dialog.
"use strict";
let dialogCount = 0;
const closedViews = new Set();

function openDialog(title, content) {
  const heading = element("h2", "", title);
  const dialog = element("dialog", "", heading, content);
  heading.id = `dialog-${++dialogCount}`;
  dialog.setAttribute("aria-labelledby", heading.id);
  dialog.setAttribute("aria-modal", "true");
  const focused = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    // The browser returns the focus, unless a refresh has replaced the element that had it.
    if (!focused.isConnected) focusEquivalent(focused, document.body);
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function plainButton(label, style, onclick) {
  const made = element("button", style, label);
  made.type = "button";
  made.onclick = onclick;
  return made;
}

function confirmDialog(confirm, style, action) {
  const no = plainButton(confirm.deny.text, "", () => dialog.close());
  const ok = plainButton(confirm.confirm.text, confirm.style || style || "neutral", () => { dialog.close(); action(); });
  const text = element("div", "block-section", textOf(confirm.text));
  const dialog = openDialog(confirm.title.text, element("div", "", text, element("div", "dialog-buttons", no, ok)));
}

function viewDialog(opened) {
  const surface = surfaceOf({view_id: opened.id});
  const blocks = element("div", "");
  const no = plainButton("", "", () => dialog.close());
  const ok = element("button", "neutral", "");
  const form = element("form", "", blocks, element("div", "dialog-buttons", no, ok));
  const dialog = openDialog("", form);
  const typed = () => Object.fromEntries(Object.entries(surface.inputs).map(([block, input]) => [block, input.read()]));
  dialog.viewId = opened.id;
  dialog.fill = ({view, values}) => {
    // An update keeps what was typed into a block that is still there.
    Object.assign(surface, {values, typed: typed()});
    for (const block of Object.keys(surface.inputs)) {
      if (!view.blocks.some((one) => one.block_id === block)) delete surface.inputs[block];
    }
    const hadFields = form.querySelector("input, select, textarea") !== null;
    set(dialog.querySelector("h2"), "textContent", view.title.text);
    set(no, "textContent", view.close ? view.close.text : "Close");
    set(ok, "textContent", view.submit ? view.submit.text : "");
    ok.hidden = !view.submit;
    renderBlocks(blocks, view.blocks, surface);
    const first = form.querySelector("input, select, textarea");
    if (first && !hadFields) first.focus();
  };
  dialog.addEventListener("close", () => {
    if (dialog.closedByPage) return;
    closedViews.add(opened.id);
    send("close", {view_id: opened.id});
  });
  form.onsubmit = async (event) => {
    event.preventDefault();
    const answer = await send("submit", {person: $("person").value, view_id: opened.id, values: typed()});
    for (const [block, input] of Object.entries(surface.inputs)) input.error.textContent = (answer.errors || {})[block] || "";
  };
  dialog.fill(opened);
}

function drawViews(views) {
  const open = views.filter((one) => !closedViews.has(one.id)).pop();
  const shown = [...document.querySelectorAll("dialog[open]")].find((dialog) => dialog.viewId);
  if (shown && open && shown.viewId === open.id) shown.fill(open);
  else {
    if (shown) closeDialog(shown);
    if (open) viewDialog(open);
  }
}

// Closes a dialog without telling Slack: the view is gone there, or the page now shows another person.
function closeDialog(dialog) {
  dialog.closedByPage = true;
  dialog.close();
}

const closeDialogs = () => document.querySelectorAll("dialog[open]").forEach(closeDialog);
