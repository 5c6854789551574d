// What opens over the page: the question before a button counts, and forms. The browser keeps the focus inside.
"use strict";
let dialogs = 0;
const formsClosed = new Set();

function dialogOf(title, content) {
  const heading = element("h2", "", title);
  const box = element("dialog", "", heading, content);
  heading.id = `dialog-${++dialogs}`;
  box.setAttribute("aria-labelledby", heading.id);
  box.setAttribute("aria-modal", "true");
  const before = document.activeElement;
  box.addEventListener("close", () => {
    box.remove();
    // The browser gives the focus back; but what had it may have been drawn anew meanwhile.
    if (!before.isConnected) focusLike(before, document.body);
  });
  document.body.append(box);
  box.showModal();
  return box;
}

function plainButton(words, style, does) {
  const made = element("button", style, words);
  made.type = "button";
  made.onclick = does;
  return made;
}

function confirmDialog(confirm, style, yes) {
  const no = plainButton(confirm.deny.text, "", () => box.close());
  const ok = plainButton(confirm.confirm.text, confirm.style || style || "neutral", () => { box.close(); yes(); });
  const box = dialogOf(confirm.title.text, element("div", "", element("div", "block-section", textOf(confirm.text)), element("div", "row", no, ok)));
}

function formDialog(opened) {
  const place = placeOf({view_id: opened.id});
  const blocks = element("div", "");
  const no = plainButton("", "", () => box.close());
  const ok = element("button", "neutral", "");
  const form = element("form", "", blocks, element("div", "row", no, ok));
  const box = dialogOf("", form);
  const typed = () => Object.fromEntries(Object.entries(place.inputs).map(([block, input]) => [block, input.read()]));
  box.viewId = opened.id;
  box.fill = ({view, values}) => {
    // An update keeps what was typed, as long as the block is the same.
    Object.assign(place, {values, typed: typed()});
    for (const block of Object.keys(place.inputs)) {
      if (!view.blocks.some((one) => one.block_id === block)) delete place.inputs[block];
    }
    const hadFields = form.querySelector("input, select, textarea") !== null;
    set(box.querySelector("h2"), "textContent", view.title.text);
    set(no, "textContent", view.close ? view.close.text : "Close");
    set(ok, "textContent", view.submit ? view.submit.text : "");
    ok.hidden = !view.submit;
    layOut(blocks, view.blocks, place);
    const first = form.querySelector("input, select, textarea");
    if (first && !hadFields) first.focus();
  };
  box.addEventListener("close", () => {
    if (box.isOver) return;
    formsClosed.add(opened.id);
    send("close", {view_id: opened.id});
  });
  form.onsubmit = async (event) => {
    event.preventDefault();
    const said = await send("submit", {person: $("person").value, view_id: opened.id, values: typed()});
    for (const [block, input] of Object.entries(place.inputs)) input.error.textContent = (said.errors || {})[block] || "";
  };
  box.fill(opened);
}

function drawForms(views) {
  const open = views.filter((one) => !formsClosed.has(one.id)).pop();
  const shown = [...document.querySelectorAll("dialog[open]")].find((box) => box.viewId);
  if (shown && open && shown.viewId === open.id) shown.fill(open);
  else {
    if (shown) endDialog(shown);
    if (open) formDialog(open);
  }
}

// The form is over, or somebody else acts now: Slack need not be told.
function endDialog(box) {
  box.isOver = true;
  box.close();
}

const endDialogs = () => document.querySelectorAll("dialog[open]").forEach(endDialog);
