// Shows what the desk knows, and sends back what people do. How blocks look is in blocks.js.
"use strict";
const $ = (id) => document.getElementById(id);
const STATUS = ["waiting", "executing", "running", "paused", "creation failed", "failed", "completed", "pausing", "waiting for deletion", "deleted"];
let dialog = null, plans = null;
const drawn = {};

async function send(path, body) {
  const answer = await fetch(`/desk/${path}`, {
    method: "POST", headers: {"Content-Type": "application/json", "X-Sandbox": "page"}, body: JSON.stringify(body),
  });
  const said = answer.ok ? await answer.json() : {failure: `the sandbox answered ${answer.status}`};
  $("failure").textContent = said.failure ? `Slack: ${said.failure}` : "";
  await refresh();
  return said;
}

const placeOf = (at, values) => ({at, values, act: (path, body) => send(path, {person: $("person").value, ...at, ...body}), inputs: {}});

function show(box) {
  dialog = box;
  $("layer").replaceChildren(...(box ? [box] : []));
  $("layer").hidden = !box;
  if (box) (box.querySelector("textarea, input, select") || box.querySelector("button")).focus();
}

function confirmDialog(confirm, yes) {
  const before = dialog;
  const no = element("button", "", confirm.deny.text), ok = element("button", "primary", confirm.confirm.text);
  no.onclick = () => show(before);
  ok.onclick = () => { show(before); yes(); };
  const box = element("div", "dialog", element("h3", "", confirm.title.text), element("div", "block-section", confirm.text.text), element("div", "row", no, ok));
  box.setAttribute("role", "dialog");
  show(box);
}

function formDialog({id, hash, view, values}) {
  const box = element("form", "dialog", element("h3", "", view.title.text));
  const place = placeOf({view_id: id}, values);
  // An update keeps what was typed, as long as the block is the same.
  place.typed = dialog && dialog.dataset.view === id ? dialog.typed() : {};
  box.typed = () => Object.fromEntries(Object.entries(place.inputs).map(([block, input]) => [block, input.read()]));
  box.setAttribute("role", "dialog");
  Object.assign(box.dataset, {view: id, hash});
  box.append(...view.blocks.map((block) => blockOf(block, place)));
  const no = element("button", "", view.close ? view.close.text : "Close"), ok = element("button", "primary", view.submit ? view.submit.text : "OK");
  no.type = "button";
  no.onclick = async () => { show(null); await send("close", {view_id: id}); };
  box.append(element("div", "row", no, view.submit ? ok : null));
  box.onsubmit = async (event) => {
    event.preventDefault();
    const said = await send("submit", {person: $("person").value, view_id: id, values: box.typed()});
    for (const [block, input] of Object.entries(place.inputs)) input.error.textContent = (said.errors || {})[block] || "";
  };
  show(box);
}

function drawForms(views) {
  const open = views[views.length - 1];
  const shown = dialog && dialog.dataset.view;
  if (dialog && !shown) return;
  if (!open) { if (dialog) show(null); return; }
  if (open.id !== shown || open.hash !== dialog.dataset.hash) formDialog(open);
}

function drawMessages(state) {
  const shown = [];
  const place = (at, node) => shown.push([at, node]);
  for (const message of state.messages.filter((one) => !one.thread_ts)) {
    const where = message.channel.startsWith("D") ? "direct message to you" : `#${names[message.channel]}`;
    const here = placeOf({channel: message.channel, ts: message.ts}, message.values);
    const body = message.blocks.length ? message.blocks.map((block) => blockOf(block, here)) : [element("div", "block-section", mrkdwn(message.text))];
    const node = element("article", "message", element("div", "who", "Taskgroup Bot", element("span", "when", where)), ...body);
    node.id = `m${message.ts.replace(".", "")}`;
    const replies = state.messages.filter((one) => one.thread_ts === message.ts && one.channel === message.channel);
    if (replies.length) node.append(element("div", "thread", ...replies.map((one) => element("p", "", mrkdwn(one.text)))));
    place(Number(message.ts), node);
  }
  for (const one of state.privates) place(one.at, element("div", "private", mrkdwn(one.text)));
  $("messages").replaceChildren(...shown.sort((a, b) => b[0] - a[0]).map(([, node]) => node));
}

function drawHome(home) {
  const here = home && placeOf({view_id: home.id}, home.values);
  $("home").replaceChildren(...(home ? home.view.blocks.map((block) => blockOf(block, here)) : ["The bot has published nothing here."]));
}

function drawGroups(groups) {
  $("groups").replaceChildren(...groups.map((group) => {
    const take = element("button", "", "use");
    take.onclick = () => { tab("messages"); $("text").value = `/resume-taskgroup ${group.group_id} `; $("text").focus(); };
    const share = group.total_size ? Math.floor((100 * group.complete_size) / group.total_size) : 0;
    const cdn = group.source_cdn && group.source_cdn.domain ? `, CDN ${group.source_cdn.authentication_type}` : "";
    const kind = element("small", "", `${group.task_type}${cdn}`);
    return element("tr", "", element("td", "", group.description, " ", take), element("td", "", `${group.src_node.cloud_type} ${group.src_node.bucket} `, kind), element("td", "", STATUS[group.status]), element("td", "", `${share} %`));
  }));
}

function drawVault({vault, calls}) {
  $("vault").replaceChildren(...vault.map((path) => {
    const reads = calls.filter((call) => call.service === "vault" && call.path.endsWith(`/data/${path}`)).length;
    return element("li", "", `secret/${path}: read ${reads} ${reads === 1 ? "time" : "times"}`);
  }));
  $("calls").replaceChildren(...calls.slice().reverse().map((call) => {
    const item = element("li", call.status >= 400 || call.status === 0 ? "bad" : "", element("b", "", call.service), ` ${call.method} ${call.path} ${call.status} ${call.note}`);
    item.value = call.number;
    return item;
  }));
}

function drawFaults({switches, planned}) {
  $("faults").replaceChildren(...Object.entries(switches).map(([name, on]) => {
    const box = element("input", "");
    box.type = "checkbox";
    box.checked = on;
    box.onchange = () => send("switch", {switch: name, on: box.checked});
    return element("label", "", box, ` ${name}`);
  }));
  for (const row of $("plans").children) row.querySelector("select").value = planned[row.dataset.verb];
}

async function drawPlans() {
  plans = await (await fetch("/desk/plans")).json();
  $("plans").replaceChildren(...Object.entries(plans.verbs).map(([verb, words]) => {
    const select = element("select", "", new Option("nothing special", ""));
    for (const [heading, pairs] of Object.entries(plans.choices)) {
      const group = element("optgroup", "", ...pairs.map(([value, text]) => new Option(text, value)));
      group.label = heading;
      select.append(group);
    }
    select.onchange = () => send("plan", {verb, what: select.value});
    const row = element("label", "", `the next ${words} meets `, select);
    row.dataset.verb = verb;
    return row;
  }));
}

function ifChanged(name, value, draw) {
  // What did not change stays as it is: an open select would close under the hand otherwise.
  const text = JSON.stringify(value);
  if (drawn[name] === text) return;
  drawn[name] = text;
  draw(value);
}

function draw(state) {
  ifChanged("names", state.names, (value) => { names = value; });
  options($("person"), state.people.map((one) => [one.id, `${one.name} (${one.kind})`]));
  options($("channel"), state.channels.map((one) => [one.id, `#${one.name}${one.archived ? " (archived)" : one.bot ? "" : " (bot not in)"}`]));
  ifChanged("messages", {messages: state.messages, privates: state.privates}, drawMessages);
  ifChanged("home", state.home, drawHome);
  ifChanged("groups", state.groups, drawGroups);
  ifChanged("vault", {vault: state.vault, calls: state.calls}, drawVault);
  ifChanged("faults", {switches: state.switches, planned: state.planned}, drawFaults);
  drawForms(state.views);
}

function options(select, pairs) {
  if (select.options.length === pairs.length) return;
  const kept = select.value;
  select.replaceChildren(...pairs.map(([value, label]) => new Option(label, value)));
  if (kept) select.value = kept;
}

async function refresh() {
  const answer = await fetch(`/desk/state?person=${encodeURIComponent($("person").value || "U0ALICE001")}`);
  draw(await answer.json());
}

function tab(name) {
  for (const each of ["messages", "home"]) {
    $(each).hidden = each !== name;
    $(`tab-${each}`).setAttribute("aria-selected", each === name);
  }
  $("typing").hidden = name !== "messages";
}

$("person").onchange = () => { show(null); tab("messages"); refresh(); };
$("tab-messages").onclick = () => tab("messages");
$("tab-home").onclick = () => { tab("home"); send("home", {person: $("person").value}); };
$("typing").onsubmit = async (event) => {
  event.preventDefault();
  await ready;
  await send("type", {person: $("person").value, channel: $("channel").value, text: $("text").value});
};
const again = () => refresh().catch(() => { $("failure").textContent = "The sandbox has ended."; }).finally(() => setTimeout(again, 400));
const ready = drawPlans().then(refresh);
ready.finally(again);
