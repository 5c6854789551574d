// Shows what the desk knows, and sends back what people do. How blocks look is in blocks.js, what opens in dialogs.js.
"use strict";
const $ = (id) => document.getElementById(id);
const STATUS = ["waiting", "executing", "running", "paused", "creation failed", "failed", "completed", "pausing", "waiting for deletion", "deleted"];
const RUNNING = ["executing", "running"];
const CALL_CHARACTERS = 120, REFRESH_MS = 400;
const privatesTold = new Set();
let sent = 0, drawn = 0;

async function send(path, body) {
  const answer = await fetch(`/panel/${path}`, {
    method: "POST", headers: {"Content-Type": "application/json", "X-Sandbox": "page"}, body: JSON.stringify(body),
  });
  const said = answer.ok ? await answer.json() : {failure: `The sandbox answered ${answer.status}.`};
  set($("failure"), "textContent", said.failure || "");
  await refresh();
  return said;
}

const placeOf = (at) => ({values: {}, inputs: {}, act: (path, body) => send(path, {person: $("person").value, ...at, ...body})});

// An area that holds blocks: made once, and filled as often as it changes.
function areaOf(key, at, makes, blocks, values, more) {
  const make = () => Object.assign(makes(), {place: placeOf(at)});
  const fill = (node) => {
    node.place.values = values;
    layOut(node.querySelector(".blocks"), blocks, node.place);
    if (more) more(node);
  };
  return {key, value: null, make, fill};
}

const blocksOf = ({blocks, text}) => (blocks.length ? blocks : [{type: "section", text: {type: "mrkdwn", text}}]);

function messageArea(message, replies) {
  const where = message.channel.startsWith("D") ? "direct message to you" : `#${names[message.channel]}`;
  const makes = () => {
    const who = element("div", "who", "Taskgroup Bot", element("span", "when", where));
    const node = element("article", "message", who, element("div", "blocks"), element("div", "thread"));
    node.id = `m${message.ts.replace(".", "")}`;
    return node;
  };
  return areaOf(message.ts, {channel: message.channel, ts: message.ts}, makes, blocksOf(message), message.values, (node) => {
    keep(node.querySelector(".thread"), replies.map((one) => {
      const blocks = blocksOf(one);
      return {key: one.ts, value: blocks, make: () => element("div", "", ...blocks.map((block) => blockOf(block, {})))};
    }));
  });
}

function drawMessages({messages, privates}) {
  const items = messages.filter((one) => !one.thread_ts).map((message) => {
    const replies = messages.filter((one) => one.thread_ts === message.ts && one.channel === message.channel);
    return {at: Number(message.ts), ...messageArea(message, replies)};
  });
  for (const one of privates) {
    items.push({at: one.at, key: `private ${one.at}`, value: one.text, make: () => element("div", "private", mrkdwn(one.text))});
  }
  keep($("messages"), items.sort((a, b) => b.at - a.at));
  tellPrivates(privates);
}

// Only what is new, and for this person alone, is read out to who cannot see the page.
function tellPrivates(privates) {
  const fresh = privates.filter((one) => !privatesTold.has(one.at));
  for (const one of fresh) privatesTold.add(one.at);
  if (fresh.length) $("told").textContent = `Only visible to you: ${mrkdwn(fresh[fresh.length - 1].text).textContent}`;
}

function drawHome(home) {
  const empty = {key: "nothing", value: null, make: () => element("p", "quiet", "The bot has published nothing here.")};
  const makes = () => element("div", "", element("div", "blocks"));
  keep($("home"), [home ? areaOf(home.id, {view_id: home.id}, makes, home.view.blocks, home.values) : empty]);
}

function drawGroups(projects) {
  keep($("groups"), projects.map(({name, region, groups}, index) => ({
    key: name, value: null,
    make: () => element("tbody", "", element("tr", "", Object.assign(element("th", "", `Project ${name}, ${region}`), {colSpan: 5}))),
    fill: (body) => keep(body, groups.map((group) => groupRow(group, name, index ? ` project=${name}` : ""))),
  })));
}

function groupRow(group, project, named) {
  const status = STATUS[group.status];
  const share = group.total_size ? Math.floor((100 * group.complete_size) / group.total_size) : 0;
  const make = () => {
    const cdn = group.source_cdn && group.source_cdn.domain ? `, CDN ${group.source_cdn.authentication_type}` : "";
    const kind = element("small", "", `${group.task_type}${cdn}`);
    const use = plainButton("use", "", () => {
      tab("messages");
      $("text").value = `/resume-taskgroup ${group.group_id}${named} `;
      $("text").focus();
    });
    const pause = plainButton("pause", "pause", () => send("pause", {project, group_id: group.group_id}));
    use.setAttribute("aria-label", `use ${group.description}`);
    pause.setAttribute("aria-label", `pause ${group.description}`);
    const source = element("td", "", `${group.src_node.cloud_type} ${group.src_node.bucket} `, kind);
    return element("tr", "", element("td", "", group.description), source, element("td", "status"), element("td", "share"), element("td", "act", pause, use));
  };
  const fill = (row) => {
    set(row.querySelector(".status"), "textContent", status);
    set(row.querySelector(".share"), "textContent", `${share}\u00a0%`);
    set(row.querySelector(".pause"), "hidden", !RUNNING.includes(status));
  };
  return {key: group.group_id, value: null, make, fill};
}

function drawCalls({vault, calls}) {
  keep($("vault"), Object.entries(vault).map(([path, times]) => ({
    key: path, value: times, make: () => element("li", times ? "" : "quiet", `secret/${path}: read ${times} ${times === 1 ? "time" : "times"}`),
  })));
  keep($("calls"), calls.slice().reverse().map((call) => ({
    key: call.number, value: call,
    make: () => {
      const isBad = call.status >= 400 || call.status === 0;
      const item = element("li", isBad ? "bad" : "", element("b", "", call.service), ` ${call.method} ${call.path} ${call.status} ${noteOf(call)}`);
      item.value = call.number;
      return item;
    },
  })));
}

function noteOf({note}) {
  const words = names[note] ? `@${names[note]}` : mrkdwn(note).textContent.replace(/\s+/g, " ");
  return words.length > CALL_CHARACTERS ? `${words.slice(0, CALL_CHARACTERS - 1).trimEnd()}…` : words;
}

// A box is ticked, and a plan is chosen, as long as the sandbox says so; not while it is being told.
function drawSwitches({rules, faults, planned}) {
  drawBoxes($("rules"), rules);
  drawBoxes($("faults"), faults);
  for (const select of document.querySelectorAll("#plans select")) {
    if (!select.isTold) set(select, "value", planned[select.name]);
  }
}

function drawBoxes(parent, switches) {
  keep(parent, Object.keys(switches).map((name) => ({
    key: name, value: null,
    make: () => {
      const box = element("input", "");
      box.type = "checkbox";
      box.onchange = () => whileTold(box, "switch", {switch: name, on: box.checked});
      return element("label", "", box, ` ${name}`);
    },
    fill: (label) => { const box = label.firstChild; if (!box.isTold) set(box, "checked", switches[name]); },
  })));
}

function whileTold(control, path, body) {
  control.isTold = true;
  return send(path, body).finally(() => { control.isTold = false; });
}

async function drawPlans() {
  const plans = await (await fetch("/panel/plans")).json();
  $("plans").replaceChildren(...plans.map(({verb, words, choices}) => {
    const select = element("select", "", new Option("as usual", ""));
    for (const [heading, pairs] of Object.entries(choices)) {
      const group = element("optgroup", "", ...pairs.map(([value, text]) => new Option(text, value)));
      group.label = heading;
      select.append(group);
    }
    select.name = verb;
    select.onchange = () => whileTold(select, "plan", {verb, what: select.value});
    return element("label", "", `The next ${words}: `, select);
  }));
}

function drawBusy(what) {
  set($("busy"), "textContent", what && `${what}: one moment. What is sent meanwhile waits for the bot.`);
  set($("busy"), "hidden", !what);
}

function drawExit(exit) {
  warn(exit === null ? "" : `The bot is not running (exit ${exit}). The end of its log is on the console.`);
}

function warn(words) {
  set($("down"), "textContent", words);
  set($("down"), "hidden", !words);
}

function draw(state) {
  names = state.names;
  options($("person"), state.people.map((one) => [one.id, `${one.name} (${one.kind})`]));
  options($("channel"), state.channels.map((one) => [one.id, `#${one.name}${one.archived ? " (archived)" : one.bot ? "" : " (bot not in)"}`]));
  drawExit(state.bot_exit);
  drawBusy(state.busy_with);
  drawMessages(state);
  drawHome(state.home);
  drawGroups(state.projects);
  drawCalls(state);
  drawSwitches(state);
  drawForms(state.views);
}

function options(select, pairs) {
  if (select.options.length === pairs.length) return;
  const kept = select.value;
  select.replaceChildren(...pairs.map(([value, label]) => new Option(label, value)));
  if (kept) select.value = kept;
}

async function refresh() {
  const number = ++sent, person = $("person").value || "U0ALICE001";
  const answer = await fetch(`/panel/state?person=${encodeURIComponent(person)}`).catch(() => null);
  if (!answer) return warn("The sandbox has ended.");
  const state = await answer.json();
  // An answer that was overtaken, or is for who no longer acts, shows nothing.
  if (number < drawn || person !== ($("person").value || person)) return;
  drawn = number;
  draw(state);
}

function tab(name) {
  for (const each of ["messages", "home"]) {
    $(each).hidden = each !== name;
    $(`tab-${each}`).setAttribute("aria-selected", each === name);
  }
  $("typing").hidden = name !== "messages";
}

$("person").onchange = () => {
  endDialogs();
  // What somebody has chosen in a message is theirs alone.
  $("messages").replaceChildren();
  tab("messages");
  refresh();
};
$("tab-messages").onclick = () => tab("messages");
$("tab-home").onclick = () => { tab("home"); send("home", {person: $("person").value}); };
$("typing").onsubmit = async (event) => {
  event.preventDefault();
  await ready;
  await send("type", {person: $("person").value, channel: $("channel").value, text: $("text").value});
};
$("start-over").onclick = () => confirmDialog({
  title: {text: "Start over?"},
  text: {type: "plain_text", text: "Messages, requests, groups, rules and faults go back to how they were at the start."},
  confirm: {text: "Start over"}, deny: {text: "Keep them"}, style: "danger",
}, null, async () => {
  await send("start-over", {});
  $("text").value = $("text").defaultValue;
});
const again = () => refresh().finally(() => setTimeout(again, REFRESH_MS));
const ready = drawPlans().then(refresh);
ready.finally(again);
