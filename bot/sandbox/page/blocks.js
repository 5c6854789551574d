// Lays out blocks as Slack would: text, buttons, selects, radio buttons, inputs. Text is only ever set as text.
"use strict";
const EMOJI = {":warning:": "⚠️", ":white_check_mark:": "✅", ":x:": "❌"};
let names = {};

const unescape = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");

function mrkdwn(text) {
  // Mentions, dates, links, code, bold; everything else is text.
  const made = document.createDocumentFragment();
  const pattern = /<([^<>]+)>|`([^`\n]+)`|\*([^*\n]+)\*|(:[a-z_]+:)/g;
  let end = 0;
  for (const found of text.matchAll(pattern)) {
    made.append(unescape(text.slice(end, found.index)));
    end = found.index + found[0].length;
    if (found[1]) made.append(special(found[1]));
    else if (found[2]) made.append(element("code", "", unescape(found[2])));
    else if (found[3]) { const bold = element("strong", ""); bold.append(mrkdwn(found[3])); made.append(bold); }
    else made.append(EMOJI[found[4]] || found[4]);
  }
  made.append(unescape(text.slice(end)));
  return made;
}

function special(inside) {
  const [head, label] = inside.split(/\|(.*)/s);
  if (head.startsWith("!date^")) {
    const [, seconds, format] = head.split("^");
    return dateWords(format, new Date(seconds * 1000));
  }
  if (head.startsWith("!subteam^")) return element("span", "mention", `@${names[head.slice(9)] || head.slice(9)}`);
  if (head.startsWith("@")) return element("span", "mention", `@${names[head.slice(1)] || head.slice(1)}`);
  if (head.startsWith("#")) return element("span", "mention", `#${names[head.slice(1)] || head.slice(1)}`);
  if (head.startsWith("!")) return element("span", "mention ring", `@${head.slice(1)}`);
  const link = element("a", "", label || head);
  link.href = head.startsWith("https://sandbox.slack.com/archives/") ? `#m${head.split("/p").pop()}` : head;
  return link;
}

// As Slack says when: "tomorrow 09:30". https://docs.slack.dev/messaging/formatting-message-text#date-formatting
function dateWords(format, at) {
  const day = (style) => at.toLocaleDateString("en-US", {dateStyle: style});
  const time = (more) => at.toLocaleTimeString("en-GB", {hour: "2-digit", minute: "2-digit", ...more});
  const midnight = (when) => new Date(when).setHours(0, 0, 0, 0);
  const near = {"-1": "yesterday", 0: "today", 1: "tomorrow"}[Math.round((midnight(at) - midnight(Date.now())) / 86_400_000)];
  const words = {date: day("long"), date_short: day("medium"), date_long: day("full"), time: time(), time_secs: time({second: "2-digit"})};
  return format.replace(/\{(\w+?)(_pretty)?\}/g, (whole, name, pretty) => (pretty && near) || words[name] || whole);
}

const textOf = (text) => (text.type === "mrkdwn" ? mrkdwn(text.text) : document.createTextNode(text.text));

// Blocks one below the other; those that stayed as they were are left alone.
function layOut(parent, blocks, place) {
  const counts = {};
  keep(parent, blocks.map((block) => {
    counts[block.type] = (counts[block.type] || 0) + 1;
    const make = () => blockOf(block, place);
    if (block.type === "input") return {key: block.block_id, value: block, make};
    // Slack makes up a new id at each change of a message: it tells nothing.
    return {key: `${block.type} ${counts[block.type]}`, value: {...block, block_id: null}, make};
  }));
}

// A place is where blocks are: {values: what is chosen there, act(path, body): tells the desk, inputs: of a form}.
function blockOf(block, place) {
  switch (block.type) {
    case "header": return element("div", "block-header", textOf(block.text));
    case "divider": return element("hr", "");
    case "context": return element("div", "block-context", ...block.elements.map(textOf));
    case "section": {
      const made = element("div", "block-section", block.text ? textOf(block.text) : null);
      if (block.fields) made.append(element("div", "fields", ...block.fields.map((field) => element("div", "", textOf(field)))));
      return block.accessory ? element("div", "beside", made, usable(block.accessory, block, place)) : made;
    }
    case "actions": return element("div", "block-actions", ...block.elements.map((one) => usable(one, block, place)));
    case "input": return inputOf(block, place);
    default: return element("div", "block-context", `[${block.type}]`);
  }
}

function usable(one, block, place) {
  if (one.type === "button") return buttonOf(one, place);
  const choose = (value) => asked(one, () => place.act("choose", {action_id: one.action_id, value}));
  return choiceOf(one, chosen(one, block, place), choose);
}

function buttonOf(button, place) {
  const made = element("button", button.style || "", button.text.text);
  made.type = "button";
  made.setAttribute("aria-label", button.accessibility_label || button.text.text);
  made.onclick = () => asked(button, () => place.act("press", {action_id: button.action_id, value: button.value ?? null}));
  return made;
}

const asked = (one, yes) => (one.confirm ? confirmDialog(one.confirm, one.style, yes) : yes());

function chosen(one, block, place) {
  const said = ((place.values || {})[block.block_id] || {})[one.action_id] || {};
  return said.selected_option ? said.selected_option.value : "";
}

function choiceOf(one, value, choose) {
  // A select or radio buttons; `choose` is told the value.
  if (one.type === "static_select") {
    const made = element("select", "");
    const option = (each) => new Option(each.text.text, each.value, false, each.value === value);
    made.append(new Option(one.placeholder ? one.placeholder.text : "Choose", "", false, !value));
    for (const group of one.option_groups || []) {
      const box = element("optgroup", "", ...group.options.map(option));
      box.label = group.label.text;
      made.append(box);
    }
    made.append(...(one.options || []).map(option));
    made.setAttribute("aria-label", one.placeholder ? one.placeholder.text : "Choose");
    made.onchange = () => made.value && choose(made.value);
    return made;
  }
  const name = `radio-${Math.random()}`;
  const made = element("div", "radios", ...one.options.map((each) => {
    const button = element("input", "");
    Object.assign(button, {type: "radio", name, value: each.value, checked: each.value === value, onchange: () => choose(each.value)});
    return element("label", "", button, " ", textOf(each.text), each.description ? element("small", "", " ", textOf(each.description)) : null);
  }));
  made.setAttribute("role", "radiogroup");
  return made;
}

function inputOf(block, place) {
  // An input of a form. `place.inputs` collects how to read each, by block.
  const one = block.element;
  const title = block.label.text + (block.optional ? " (optional)" : "");
  const error = element("div", "error");
  const hint = element("div", "hint", block.hint ? block.hint.text : "");
  if (one.type === "plain_text_input") {
    const input = element(one.multiline ? "textarea" : "input", "");
    if (!one.multiline) input.type = "text";
    if (one.placeholder) input.placeholder = one.placeholder.text;
    input.maxLength = one.max_length || 3000;
    input.required = !block.optional;
    input.value = (place.typed || {})[block.block_id] ?? one.initial_value ?? "";
    place.inputs[block.block_id] = {read: () => input.value, error};
    return element("div", "input", element("label", "", title, input), hint, error);
  }
  let value = (place.typed || {})[block.block_id] ?? chosen(one, block, place);
  const tell = (picked) => {
    value = picked;
    if (block.dispatch_action) place.act("choose", {action_id: one.action_id, value: picked});
  };
  const made = choiceOf(one, value, tell);
  const first = made.matches("select") ? made : made.querySelector("input");
  first.required = !block.optional;
  if (made.matches("select")) made.setAttribute("aria-label", block.label.text);
  place.inputs[block.block_id] = {read: () => value, error};
  return element("div", "input", element("div", "label", title), made, hint, error);
}
