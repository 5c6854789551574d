// Shows the state of the sandbox, and sends the actions of the person. Blocks are rendered in blocks.js, dialogs in dialogs.js.
"use strict";
const $ = (id) => document.getElementById(id);
const STATUS = ["waiting", "executing", "running", "paused", "creation failed", "failed", "completed", "pausing", "waiting for deletion", "deleted"];
const NOTE_CHARACTERS = 120, REFRESH_MS = 400;
const announced = new Set();
let lastRequest = 0, lastDrawn = 0;

async function send(path, body) {
  const response = await fetch(`/panel/${path}`, {
    method: "POST", headers: {"Content-Type": "application/json", "X-Sandbox": "page"}, body: JSON.stringify(body),
  });
  const answer = response.ok ? await response.json() : {failure: `The sandbox answered ${response.status}.`};
  set($("failure"), "textContent", answer.failure || "");
  await refresh();
  return answer;
}

const surfaceOf = (at) => ({values: {}, inputs: {}, act: (path, body) => send(path, {person: $("person").value, ...at, ...body})});

// The item of a message or of App Home: its node is made once, its blocks are updated at every refresh.
function surfaceItem(key, at, makeNode, blocks, values, fillRest) {
  const make = () => Object.assign(makeNode(), {surface: surfaceOf(at)});
  const fill = (node) => {
    node.surface.values = values;
    renderBlocks(node.querySelector(".blocks"), blocks, node.surface);
    if (fillRest) fillRest(node);
  };
  return {key, value: null, make, fill};
}

const blocksOf = ({blocks, text}) => (blocks.length ? blocks : [{type: "section", text: {type: "mrkdwn", text}}]);

function messageItem(message, replies) {
  const where = message.channel.startsWith("D") ? "direct message to you" : `#${names[message.channel]}`;
  const makeNode = () => {
    const author = element("div", "author", "Taskgroup Bot", element("span", "where", where));
    const node = element("article", "message", author, element("div", "blocks"), element("div", "thread"));
    node.id = `m${message.ts.replace(".", "")}`;
    return node;
  };
  return surfaceItem(message.ts, {channel: message.channel, ts: message.ts}, makeNode, blocksOf(message), message.values, (node) => {
    updateChildren(node.querySelector(".thread"), replies.map((one) => {
      const blocks = blocksOf(one);
      return {key: one.ts, value: blocks, make: () => element("div", "", ...blocks.map((block) => blockOf(block, {})))};
    }));
  });
}

function drawMessages({messages, ephemerals}) {
  const items = messages.filter((one) => !one.thread_ts).map((message) => {
    const replies = messages.filter((one) => one.thread_ts === message.ts && one.channel === message.channel);
    return {at: Number(message.ts), ...messageItem(message, replies)};
  });
  for (const one of ephemerals) {
    const key = `ephemeral ${one.at}`;
    const makeNode = () => element("div", "ephemeral", element("div", "blocks"));
    items.push({at: one.at, ...(one.blocks.length
      ? surfaceItem(key, {channel: one.channel, ts: one.ts}, makeNode, one.blocks, {})
      : {key, value: one.text, make: () => element("div", "ephemeral", mrkdwn(one.text))})});
  }
  updateChildren($("messages"), items.sort((a, b) => b.at - a.at));
  announce(ephemerals);
}

// Lets screen readers read out the newest ephemeral message, once, and nothing else.
function announce(ephemerals) {
  const fresh = ephemerals.filter((one) => !announced.has(one.at));
  for (const one of fresh) announced.add(one.at);
  if (fresh.length) $("announcement").textContent = `Only visible to you: ${mrkdwn(fresh[fresh.length - 1].text).textContent}`;
}

function drawHome(home) {
  const empty = {key: "nothing", value: null, make: () => element("p", "muted", "The bot has published nothing here.")};
  const makeNode = () => element("div", "", element("div", "blocks"));
  updateChildren($("home"), [home ? surfaceItem(home.id, {view_id: home.id}, makeNode, home.view.blocks, home.values) : empty]);
}

function drawGroups(projects) {
  updateChildren($("groups"), projects.map(({name, region, groups}, index) => ({
    key: name, value: null,
    make: () => element("tbody", "", element("tr", "", Object.assign(element("th", "", `Project ${name}, ${region}`), {colSpan: 5}))),
    fill: (body) => updateChildren(body, groups.map((group) => groupItem(group, name, index ? ` project=${name}` : ""))),
  })));
}

function groupItem(group, project, argument) {
  const status = STATUS[group.status];
  const percentage = group.total_size ? Math.floor((100 * group.complete_size) / group.total_size) : 0;
  const make = () => {
    const cdn = group.source_cdn && group.source_cdn.domain ? `, CDN ${group.source_cdn.authentication_type}` : "";
    const kind = element("small", "", `${group.task_type}${cdn}`);
    const use = plainButton("use", "", () => {
      selectTab("messages");
      $("text").value = `/resume-taskgroup ${group.group_id}${argument} `;
      $("text").focus();
    });
    use.setAttribute("aria-label", `use ${group.description}`);
    const source = element("td", "", `${group.src_node.cloud_type} ${group.src_node.bucket} `, kind);
    const buttons = element("td", "row-buttons", use, element("span", "actions"));
    return element("tr", "", element("td", "", group.description), source, element("td", "status"), element("td", "percentage"), buttons);
  };
  const fill = (row) => {
    set(row.querySelector(".status"), "textContent", status);
    set(row.querySelector(".percentage"), "textContent", `${percentage}\u00a0%`);
    updateChildren(row.querySelector(".actions"), group.actions.map((action) => ({
      key: action, value: null, make: () => actionButton(action, group, project),
    })));
  };
  return {key: group.group_id, value: null, make, fill};
}

// A button for what somebody else does to a group in the Huawei Cloud console, or for what goes wrong with it.
function actionButton(action, group, project) {
  const button = plainButton(action, "", () => send("console", {action, project, group_id: group.group_id}));
  button.setAttribute("aria-label", `${action} ${group.description}`);
  return button;
}

function drawCalls({vault, calls}) {
  updateChildren($("vault"), vault.map(({path, is_own, times}) => {
    const text = `secret/${path}${is_own ? " (the bot's own key)" : ""}: read ${times} ${times === 1 ? "time" : "times"}`;
    return {key: path, value: times, make: () => element("li", times ? "" : "muted", text)};
  }));
  updateChildren($("calls"), calls.slice().reverse().map((call) => ({
    key: call.number, value: call,
    make: () => {
      const isError = call.status >= 400 || call.status === 0;
      const item = element("li", isError ? "error" : "", element("b", "", call.service), ` ${call.method} ${call.path} ${call.status} ${noteOf(call)}`);
      item.value = call.number;
      return item;
    },
  })));
}

function noteOf({note}) {
  const text = names[note] ? `@${names[note]}` : mrkdwn(note).textContent.replace(/\s+/g, " ");
  return text.length > NOTE_CHARACTERS ? `${text.slice(0, NOTE_CHARACTERS - 1).trimEnd()}…` : text;
}

// Switches and planned faults show what the sandbox says, except while a change is being sent.
function drawSwitches({rules, faults, planned}) {
  drawCheckboxes($("rules"), rules);
  drawCheckboxes($("faults"), faults);
  for (const select of document.querySelectorAll("#planned select")) {
    if (!select.isSending) set(select, "value", planned[select.name]);
  }
}

function drawCheckboxes(parent, switches) {
  updateChildren(parent, Object.keys(switches).map((name) => ({
    key: name, value: null,
    make: () => {
      const box = element("input", "");
      box.type = "checkbox";
      box.onchange = () => sendFrom(box, "switch", {switch: name, on: box.checked});
      return element("label", "", box, ` ${name}`);
    },
    fill: (label) => { const box = label.firstChild; if (!box.isSending) set(box, "checked", switches[name]); },
  })));
}

function sendFrom(control, path, body) {
  control.isSending = true;
  return send(path, body).finally(() => { control.isSending = false; });
}

async function drawChoices() {
  const kinds = await (await fetch("/panel/choices")).json();
  $("planned").replaceChildren(...kinds.map(({kind, words, choices}) => {
    const select = element("select", "", new Option("as usual", ""));
    for (const [heading, pairs] of Object.entries(choices)) {
      const group = element("optgroup", "", ...pairs.map(([value, text]) => new Option(text, value)));
      group.label = heading;
      select.append(group);
    }
    select.name = kind;
    select.onchange = () => sendFrom(select, "plan", {kind, value: select.value});
    return element("label", "", `The next ${words}: `, select);
  }));
}

function drawBusy(what) {
  set($("busy"), "textContent", what && `${what}: one moment. What you send now waits for the bot.`);
  set($("busy"), "hidden", !what);
}

function drawBotExit(exitCode) {
  warn(exitCode === null ? "" : `The bot is not running (exit ${exitCode}). The end of its log is in the terminal.`);
}

function warn(text) {
  set($("warning"), "textContent", text);
  set($("warning"), "hidden", !text);
}

function draw(state) {
  names = state.names;
  timeZone = state.time_zone;
  set($("time-zone"), "textContent", `Times in ${timeZone}`);
  drawOptions($("person"), state.people.map((one) => [one.id, `${one.name} (${one.kind})`]));
  drawOptions($("channel"), state.channels.map((one) => [one.id, `#${one.name}${one.archived ? " (archived)" : one.bot ? "" : " (bot not in)"}`]));
  drawBotExit(state.bot_exit_code);
  drawBusy(state.busy_with);
  drawMessages(state);
  drawHome(state.home);
  drawGroups(state.projects);
  drawCalls(state);
  drawSwitches(state);
  drawViews(state.views);
}

function drawOptions(select, pairs) {
  if (select.options.length === pairs.length) return;
  const selected = select.value;
  select.replaceChildren(...pairs.map(([value, label]) => new Option(label, value)));
  if (selected) select.value = selected;
}

async function refresh() {
  const number = ++lastRequest, person = $("person").value || "U0ALICE001";
  const response = await fetch(`/panel/state?person=${encodeURIComponent(person)}`).catch(() => null);
  if (!response) return warn("The sandbox has ended.");
  const state = await response.json();
  // Ignores a state that is older than the one on the page, or for a person who is no longer selected.
  if (number < lastDrawn || person !== ($("person").value || person)) return;
  lastDrawn = number;
  draw(state);
}

function selectTab(name) {
  for (const each of ["messages", "home"]) {
    $(each).hidden = each !== name;
    $(`tab-${each}`).setAttribute("aria-selected", each === name);
  }
  $("composer").hidden = name !== "messages";
}

$("person").onchange = () => {
  closeDialogs();
  // Choices in a message are visible only to the person who made them, and times are in the person's own zone.
  for (const id of ["messages", "calls", "announcement"]) $(id).replaceChildren();
  selectTab("messages");
  refresh();
};
$("tab-messages").onclick = () => selectTab("messages");
$("tab-home").onclick = () => { selectTab("home"); send("home", {person: $("person").value}); };
$("composer").onsubmit = async (event) => {
  event.preventDefault();
  await ready;
  await send("type", {person: $("person").value, channel: $("channel").value, text: $("text").value});
};
$("start-over").onclick = () => confirmDialog({
  title: {text: "Start over?"},
  text: {type: "plain_text", text: "Messages, requests, groups, rules and faults return to the state at the start."},
  confirm: {text: "Start over"}, deny: {text: "Cancel"}, style: "danger",
}, null, async () => {
  await send("reset", {});
  $("text").value = $("text").defaultValue;
});
const refreshForever = () => refresh().finally(() => setTimeout(refreshForever, REFRESH_MS));
const ready = drawChoices().then(refresh);
ready.finally(refreshForever);
