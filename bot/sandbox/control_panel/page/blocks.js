// Renders blocks as Slack does: text, buttons, selects, radio buttons, inputs. Text is never interpreted as HTML.
"use strict";
// Some standard emoji. Slack shows an unknown name as it is.
const EMOJI = {
  "+1": "👍", "-1": "👎", "100": "💯", bell: "🔔", bomb: "💣", boom: "💥", eyes: "👀", fire: "🔥", heart: "❤️", key: "🔑",
  lock: "🔒", moneybag: "💰", no_entry: "⛔", ok_hand: "👌", pray: "🙏", rocket: "🚀", rotating_light: "🚨", skull: "💀",
  smile: "😄", tada: "🎉", thumbsup: "👍", warning: "⚠️", wave: "👋", white_check_mark: "✅", x: "❌",
};
// A mark counts only at the edge of a word and without a space on its inside: 2*3*4 and oms_url stay as they are.
const markedText = (mark) => String.raw`(?<![\p{L}\p{N}])${mark}(?!\s)([^${mark}\n]+)(?<!\s)${mark}(?![\p{L}\p{N}])`;
const MRKDWN = new RegExp([
  String.raw`<([^<>]+)>`, "`([^`\\n]+)`", markedText("\\*"), markedText("_"), markedText("~"), String.raw`:([a-z0-9_+'-]+):`,
].join("|"), "gu");
// Names of users, groups and channels by id, and the time zone of the person who looks at the page.
let names = {}, timeZone = "UTC";

const unescape = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
const emoji = (text) => text.replace(/:([a-z0-9_+'-]+):/g, (whole, name) => EMOJI[name] || whole);

function mrkdwn(text) {
  // Renders mentions, dates, links, code, bold, italic, strikethrough and emoji.
  const made = document.createDocumentFragment();
  const formatted = (tag, inside) => { const node = element(tag, ""); node.append(mrkdwn(inside)); return node; };
  let end = 0;
  for (const found of text.matchAll(MRKDWN)) {
    const [whole, angled, code, bold, italic, struck, name] = found;
    made.append(unescape(text.slice(end, found.index)));
    end = found.index + whole.length;
    if (angled) made.append(special(angled));
    else if (code) made.append(element("code", "", unescape(code)));
    else if (bold) made.append(formatted("strong", bold));
    else if (italic) made.append(formatted("em", italic));
    else if (struck) made.append(formatted("s", struck));
    else made.append(EMOJI[name] || whole);
  }
  made.append(unescape(text.slice(end)));
  return made;
}

function special(inside) {
  const [head, label] = inside.split(/\|(.*)/s);
  if (head.startsWith("!date^")) {
    const [, seconds, format] = head.split("^");
    return dateText(format, new Date(seconds * 1000));
  }
  if (head.startsWith("!subteam^")) return element("span", "mention", `@${names[head.slice(9)] || head.slice(9)}`);
  if (head.startsWith("@")) return element("span", "mention", `@${names[head.slice(1)] || head.slice(1)}`);
  if (head.startsWith("#")) return element("span", "mention", `#${names[head.slice(1)] || head.slice(1)}`);
  if (head.startsWith("!")) return element("span", "mention ring", `@${head.slice(1)}`);
  const link = element("a", "", label || head);
  link.href = head.startsWith("https://sandbox.slack.com/archives/") ? `#m${head.split("/p").pop()}` : head;
  return link;
}

// A date as Slack shows it to this person: "tomorrow 09:30". https://docs.slack.dev/messaging/formatting-message-text#date-formatting
function dateText(format, at) {
  const day = (style) => at.toLocaleDateString("en-US", {timeZone, dateStyle: style});
  const time = (more) => at.toLocaleTimeString("en-GB", {timeZone, hour: "2-digit", minute: "2-digit", ...more});
  // In the form 2026-03-02, which Date.parse reads as midnight UTC.
  const calendarDay = (when) => Date.parse(new Date(when).toLocaleDateString("sv-SE", {timeZone}));
  const relative = {"-1": "yesterday", 0: "today", 1: "tomorrow"}[(calendarDay(at) - calendarDay(Date.now())) / 86_400_000];
  const formats = {date: day("long"), date_short: day("medium"), date_long: day("full"), time: time(), time_secs: time({second: "2-digit"})};
  return format.replace(/\{(\w+?)(_pretty)?\}/g, (whole, name, pretty) => (pretty && relative) || formats[name] || whole);
}

// Plain text is shown as it is, except for emoji if they are not switched off.
const plainText = (text) => (text.emoji === false ? text.text : emoji(text.text));
const textOf = (text) => (text.type === "mrkdwn" ? mrkdwn(text.text) : document.createTextNode(plainText(text)));

// Renders blocks into `parent`, and leaves those alone that have not changed.
function renderBlocks(parent, blocks, surface) {
  const counts = {};
  updateChildren(parent, blocks.map((block) => {
    counts[block.type] = (counts[block.type] || 0) + 1;
    const make = () => blockOf(block, surface);
    if (block.type === "input") return {key: block.block_id, value: block, make};
    // The id of such a block says nothing about it: Slack generates a new one at each change of a message.
    return {key: `${block.type} ${counts[block.type]}`, value: {...block, block_id: null}, make};
  }));
}

// A surface is where blocks are: {values, act(path, body), inputs}. `values` is what is chosen there, `act` sends an action
// to the sandbox, `inputs` are the inputs of a modal by block.
function blockOf(block, surface) {
  switch (block.type) {
    case "header": return element("div", "block-header", textOf(block.text));
    case "divider": return element("hr", "");
    case "context": return element("div", "block-context", ...block.elements.map((one) => element("span", "", textOf(one))));
    case "section": {
      const made = element("div", "block-section", block.text ? textOf(block.text) : null);
      if (block.fields) made.append(element("div", "fields", ...block.fields.map((field) => element("div", "", textOf(field)))));
      return block.accessory ? element("div", "with-accessory", made, interactive(block.accessory, block, surface)) : made;
    }
    case "actions": return element("div", "block-actions", ...block.elements.map((one) => interactive(one, block, surface)));
    case "input": return inputOf(block, surface);
    case "data_visualization": return chartOf(block);
    default: return element("div", "block-context", `[${block.type}]`);
  }
}

// Draws a chart as one line for each series. The values are also in the text for screen readers.
function chartOf({title, chart: {series, axis_config: {categories, x_label, y_label}}}) {
  const draw = (name, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    return node;
  };
  const highest = Math.max(...series.flatMap((one) => one.data.map((point) => point.value)), 0) || 1;
  const x = (index) => (100 * index) / Math.max(categories.length - 1, 1), y = (value) => 38 - (36 * value) / highest;
  const said = series.map((one) => one.data.map((point) => `${point.label} ${point.value}`).join(", ")).join("; ");
  const svg = draw("svg", {viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": `${title}, ${y_label}: ${said}`});
  svg.append(...series.map((one) => draw("polyline", {points: one.data.map((point, index) => `${x(index)},${y(point.value)}`).join(" ")})));
  const ends = element("div", "chart-ends", element("span", "", categories[0]), element("span", "", x_label), element("span", "", categories.at(-1)));
  return element("figure", "block-chart", element("figcaption", "", element("strong", "", title), ` up to ${highest} ${y_label}`), svg, ends);
}

function interactive(one, block, surface) {
  if (one.type === "button") return buttonOf(one, surface);
  const choose = (value) => confirmed(one, () => surface.act("choose", {action_id: one.action_id, value}));
  return choiceOf(one, chosen(one, block, surface), choose);
}

function buttonOf(button, surface) {
  const made = element("button", button.style || "", plainText(button.text));
  made.type = "button";
  made.setAttribute("aria-label", button.accessibility_label || button.text.text);
  made.onclick = () => confirmed(button, () => surface.act("press", {action_id: button.action_id, value: button.value ?? null}));
  return made;
}

// Runs an action, after the confirmation dialog of its element if it has one.
const confirmed = (one, action) => (one.confirm ? confirmDialog(one.confirm, one.style, action) : action());

function chosen(one, block, surface) {
  const state = ((surface.values || {})[block.block_id] || {})[one.action_id] || {};
  return state.selected_option ? state.selected_option.value : "";
}

function choiceOf(one, value, choose) {
  // Renders a select or radio buttons. `choose` is called with the value.
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

function inputOf(block, surface) {
  // Renders an input of a modal, and adds it to `surface.inputs`.
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
    input.value = (surface.typed || {})[block.block_id] ?? one.initial_value ?? "";
    surface.inputs[block.block_id] = {read: () => input.value, error};
    return element("div", "input", element("label", "", title, input), hint, error);
  }
  if (one.type === "timepicker") {
    const input = Object.assign(element("input", ""), {type: "time", required: !block.optional});
    input.value = (surface.typed || {})[block.block_id] ?? one.initial_time ?? "";
    surface.inputs[block.block_id] = {read: () => input.value, error};
    return element("div", "input", element("label", "", title, input), hint, error);
  }
  let value = (surface.typed || {})[block.block_id] ?? chosen(one, block, surface);
  const choose = (picked) => {
    value = picked;
    if (block.dispatch_action) surface.act("choose", {action_id: one.action_id, value: picked});
  };
  const made = choiceOf(one, value, choose);
  const first = made.matches("select") ? made : made.querySelector("input");
  first.required = !block.optional;
  if (made.matches("select")) made.setAttribute("aria-label", block.label.text);
  surface.inputs[block.block_id] = {read: () => value, error};
  return element("div", "input", element("div", "label", title), made, hint, error);
}
