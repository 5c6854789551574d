// Lays out what the bot sends, as Slack would, and sends back what people do. Text is only ever set as text.
"use strict";
const $ = (id) => document.getElementById(id);
const STATUS = ["waiting", "executing", "running", "paused", "creation failed", "failed", "completed", "pausing", "waiting for deletion", "deleted"];
const FAULTS = ["vault sealed", "OMS forbids", "Slack answers 500", "next start: 429", "next start: 503", "next start: done, answer lost"];
let names = {}, last = "", dialog = null;

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null));
  return made;
}

async function send(path, body) {
  const answer = await fetch(`/desk/${path}`, {
    method: "POST", headers: {"Content-Type": "application/json", "X-Sandbox": "page"}, body: JSON.stringify(body),
  });
  const said = answer.ok ? await answer.json() : {failure: `the sandbox answered ${answer.status}`};
  $("failure").textContent = said.failure ? `Slack: ${said.failure}` : "";
  await refresh();
  return said;
}

const unescape = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
const EMOJI = {":warning:": "⚠️", ":white_check_mark:": "✅", ":x:": "❌"};

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
    const at = new Date(seconds * 1000);
    const today = at.toDateString() === new Date().toDateString();
    const day = today ? "today" : at.toLocaleDateString(undefined, {month: "short", day: "numeric"});
    const time = at.toLocaleTimeString(undefined, {hour: "2-digit", minute: "2-digit", hour12: false, second: format.includes("time_secs") ? "2-digit" : undefined});
    return format.replace("{date_short_pretty}", day).replace("{time}", time).replace("{time_secs}", time);
  }
  if (head.startsWith("!subteam^")) return element("span", "mention", `@${names[head.slice(9)] || head.slice(9)}`);
  if (head.startsWith("@")) return element("span", "mention", `@${names[head.slice(1)] || head.slice(1)}`);
  if (head.startsWith("#")) return element("span", "mention", `#${names[head.slice(1)] || head.slice(1)}`);
  if (head.startsWith("!")) return element("span", "mention ring", `@${head.slice(1)}`);
  const link = element("a", "", label || head);
  link.href = head.startsWith("https://sandbox.slack.com/archives/") ? `#m${head.split("/p").pop()}` : head;
  return link;
}

const textOf = (text) => (text.type === "mrkdwn" ? mrkdwn(text.text) : document.createTextNode(text.text));

function blockOf(block, message) {
  switch (block.type) {
    case "header": return element("div", "block-header", textOf(block.text));
    case "divider": return element("hr", "");
    case "context": return element("div", "block-context", ...block.elements.map(textOf));
    case "section": {
      const made = element("div", "block-section", block.text ? textOf(block.text) : null);
      if (block.fields) made.append(element("div", "fields", ...block.fields.map((field) => element("div", "", textOf(field)))));
      return made;
    }
    case "actions": return element("div", "block-actions", ...block.elements.map((button) => buttonOf(button, message)));
    default: return element("div", "block-context", `[${block.type}]`);
  }
}

function buttonOf(button, message) {
  const made = element("button", button.style || "", button.text.text);
  made.setAttribute("aria-label", button.accessibility_label || button.text.text);
  const press = () => send("press", {person: $("person").value, channel: message.channel, ts: message.ts, action_id: button.action_id});
  made.onclick = () => (button.confirm ? confirmDialog(button.confirm, press) : press());
  return made;
}

function show(box) {
  dialog = box;
  $("layer").replaceChildren(...(box ? [box] : []));
  $("layer").hidden = !box;
  if (box) (box.querySelector("textarea, input") || box.querySelector("button")).focus();
}

function confirmDialog(confirm, yes) {
  const no = element("button", "", confirm.deny.text), ok = element("button", "primary", confirm.confirm.text);
  no.onclick = () => show(null);
  ok.onclick = () => { show(null); yes(); };
  const box = element("div", "dialog", element("h3", "", confirm.title.text), element("div", "block-section", confirm.text.text), element("div", "row", no, ok));
  box.setAttribute("role", "dialog");
  show(box);
}

function formDialog({id, view}) {
  const box = element("form", "dialog", element("h3", "", view.title.text));
  box.setAttribute("role", "dialog");
  box.dataset.view = id;
  box.dataset.shown = JSON.stringify(view);
  const inputs = {};
  for (const block of view.blocks) {
    if (block.type !== "input") { box.append(blockOf(block, {})); continue; }
    const input = element(block.element.multiline ? "textarea" : "input", "");
    input.maxLength = block.element.max_length || 3000;
    input.required = !block.optional;
    inputs[block.block_id] = input;
    const label = element("label", "", block.label.text + (block.optional ? " (optional)" : ""), input);
    box.append(label, element("div", "hint", block.hint ? block.hint.text : ""), element("div", "error"));
    input.errorBox = box.lastChild;
  }
  const no = element("button", "", view.close ? view.close.text : "Close"), ok = element("button", "primary", view.submit ? view.submit.text : "");
  no.type = "button";
  no.onclick = async () => { show(null); await send("close", {view_id: id}); };
  box.append(element("div", "row", no, view.submit ? ok : null));
  box.onsubmit = async (event) => {
    event.preventDefault();
    const values = Object.fromEntries(Object.entries(inputs).map(([block, input]) => [block, input.value]));
    const said = await send("submit", {person: $("person").value, view_id: id, values});
    for (const [block, input] of Object.entries(inputs)) input.errorBox.textContent = (said.errors || {})[block] || "";
    if (!said.errors && !said.failure) show(null);
  };
  show(box);
}

function draw(state) {
  names = state.names;
  options($("person"), state.people.map((one) => [one.id, `${one.name} (${one.kind})`]));
  options($("channel"), state.channels.map((one) => [one.id, `#${one.name}${one.archived ? " (archived)" : one.bot ? "" : " (bot not in)"}`]));
  const shown = [];
  const place = (at, node) => shown.push([at, node]);
  for (const message of state.messages.filter((one) => !one.thread_ts)) {
    const where = message.channel.startsWith("D") ? "direct message to you" : `#${names[message.channel]}`;
    const body = message.blocks.length ? message.blocks.map((block) => blockOf(block, message)) : [element("div", "block-section", mrkdwn(message.text))];
    const node = element("article", "message", element("div", "who", "Taskgroup Bot", element("span", "when", where)), ...body);
    node.id = `m${message.ts.replace(".", "")}`;
    const replies = state.messages.filter((one) => one.thread_ts === message.ts && one.channel === message.channel);
    if (replies.length) node.append(element("div", "thread", ...replies.map((one) => element("p", "", mrkdwn(one.text)))));
    place(Number(message.ts), node);
  }
  for (const one of state.privates) place(one.at, element("div", "private", mrkdwn(one.text)));
  $("messages").replaceChildren(...shown.sort((a, b) => b[0] - a[0]).map(([, node]) => node));
  $("groups").replaceChildren(...state.groups.map((group) => {
    const take = element("button", "", "use");
    take.onclick = () => { $("text").value = `/resume-taskgroup ${group.group_id} `; $("text").focus(); };
    const share = group.total_size ? Math.floor((100 * group.complete_size) / group.total_size) : 0;
    return element("tr", "", element("td", "", group.description, " ", take), element("td", "", `${group.src_node.cloud_type} ${group.src_node.bucket}`), element("td", "", STATUS[group.status]), element("td", "", `${share} %`));
  }));
  $("vault").replaceChildren(...state.vault.map((path) => {
    const reads = state.calls.filter((call) => call.service === "vault" && call.path.endsWith(`/data/${path}`)).length;
    return element("li", "", `secret/${path}: read ${reads} ${reads === 1 ? "time" : "times"}`);
  }));
  $("calls").replaceChildren(...state.calls.slice().reverse().map((call) => {
    const item = element("li", call.status >= 400 || call.status === 0 ? "bad" : "", element("b", "", call.service), ` ${call.method} ${call.path} ${call.status} ${call.note}`);
    item.value = call.number;
    return item;
  }));
  $("faults").replaceChildren(...FAULTS.map((fault) => {
    const box = element("input", "");
    box.type = "checkbox";
    box.checked = state.faults.includes(fault);
    box.onchange = () => send("switch", {fault, on: box.checked});
    return element("label", "", box, ` ${fault}`);
  }));
  const open = state.views[state.views.length - 1];
  const stands = dialog && dialog.dataset.view;
  if (open && (!dialog || (stands === open.id && dialog.dataset.shown !== JSON.stringify(open.view)))) formDialog(open);
}

function options(select, pairs) {
  if (select.options.length === pairs.length) return;
  const kept = select.value;
  select.replaceChildren(...pairs.map(([value, label]) => new Option(label, value)));
  if (kept) select.value = kept;
}

async function refresh() {
  const answer = await fetch(`/desk/state?person=${encodeURIComponent($("person").value || "U0ALICE001")}`);
  const text = await answer.text();
  if (text !== last) { last = text; draw(JSON.parse(text)); }
}

$("person").onchange = () => { show(null); refresh(); };
$("typing").onsubmit = async (event) => {
  event.preventDefault();
  await send("type", {person: $("person").value, channel: $("channel").value, text: $("text").value});
};
const again = () => refresh().catch(() => { $("failure").textContent = "The sandbox has ended."; }).finally(() => setTimeout(again, 400));
again();
