// The page: what ran before it came is had by GET v1/jobs, everything after that by the events of v1/events.

import {countLateness, countWall, drawCharts, forgetWalls} from './charts.js';
import {element, setText} from './element.js';
import {eventsOf} from './events.js';
import {countsOf, keptOf, partsOf} from './list.js';
import {Row} from './row.js';
import * as server from './server.js';
import {clockOf, environmentOf} from './texts.js';
import {BrokenLine, lineOf, wordsOf} from './words.js';

const atFirst = {running: 5, waiting: 5, ended: 25};  // rows that are shown of each part
const moreRows = 100;
const mostEnded = 2000;  // that the page holds
const drawEvery = 250;  // ms
const silence = 10000;  // ms without an event, of which one comes each second: the connection is dead
const latestRetry = 10000;  // ms

const at = id => document.getElementById(id);

const jobs = new Map();  // by id, as the server told them last, with the time of that by our clock (toldAt)
const rows = new Map();  // by id, those that are shown
const orders = new Map();  // by id, what was asked for from here: the server keeps no input
const shown = {...atFirst};
let open = null;  // the id of the job that is open
let isLive = false;
let goneSince = 0;
let isDrawDue = false;

// ---- The jobs ----

function put(job) {
  const before = jobs.get(job.id);
  if (before?.state === 'ended') return;  // an answer that was overtaken by its events
  jobs.set(job.id, {...job, toldAt: performance.now()});
  if (job.state === 'ended') countWall(job.wall_ms);
  drawSoon();
}

function forgetOldest() {
  if (jobs.size < mostEnded * 1.1) return;
  const kept = new Set(keptOf([...jobs.values()].sort((one, other) => one.id < other.id ? -1 : 1), mostEnded));
  for (const job of jobs.values()) {
    if (kept.has(job)) continue;
    jobs.delete(job.id);
    orders.delete(job.id);
  }
}

const wallOf = (job, now) => job.state === 'running' && isLive ? job.wall_ms + now - job.toldAt : job.wall_ms;

// ---- The list ----

function drawSoon() {
  if (isDrawDue) return;
  isDrawDue = true;
  setTimeout(() => {
    isDrawDue = false;
    draw();
  }, drawEvery);
}

function draw() {
  forgetOldest();
  const focused = document.activeElement;
  const find = at('find').elements;
  const {value: kind} = find.kind, {value: search} = find.search, {value: order} = find.order;
  const parts = partsOf(jobs.values(), {kind, search, order, shown, open});
  const now = performance.now();
  const left = new Set(rows.keys());
  const places = new Map();
  const scrolled = [...document.querySelectorAll('.details pre')].map(pre => [pre, pre.scrollTop]);
  [...jobs.values()].filter(job => job.state === 'queued').map(job => job.id).sort().forEach((id, i) => places.set(id, i + 1));
  for (const [name, part] of Object.entries(parts)) {
    drawPart(name, part);
    const list = at(name).querySelector('ul');
    const ids = new Set(part.jobs.map(job => job.id));
    for (const line of [...list.children]) if (!ids.has(line.dataset.job)) line.remove();  // so that those after it stay
    part.jobs.forEach((job, i) => {
      const row = rowOf(job);
      row.update(job, wallOf(job, now), places.get(job.id));
      if (list.children[i] !== row.whole) list.insertBefore(row.whole, list.children[i] ?? null);
      left.delete(job.id);
    });
  }
  for (const id of left) {
    if (id === open) open = null;
    rows.get(id).close();
    rows.get(id).whole.remove();
    rows.delete(id);
  }
  drawCounts(parts);
  drawCharts(at('walls'), at('late'));
  for (const [pre, top] of scrolled) if (pre.scrollTop !== top) pre.scrollTop = top;  // its row moved
  keepFocus(focused);
}

// Its row may have moved or gone, and the button itself with what could be done.
function keepFocus(focused) {
  if (focused === document.activeElement && !focused.hidden && !focused.disabled) return;
  if (!focused.isConnected) return at('jobs').focus({preventScroll: true});
  const kept = focused.hidden || focused.disabled ? focused.closest('li')?.querySelector('.command') : focused;
  kept?.focus({preventScroll: true});
}

function rowOf(job) {
  if (!rows.has(job.id)) rows.set(job.id, new Row(job, {toggle, stop, again, edit, copy: row => copy(row.line)}));
  return rows.get(job.id);
}

function drawPart(name, part) {
  const whole = at(name);
  whole.hidden = !part.all;
  whole.querySelector('.count').textContent = part.all;
  const hidden = part.all - part.jobs.length;
  const more = whole.querySelector('.show-more'), fewer = whole.querySelector('.show-fewer');
  more.hidden = hidden <= 0;
  more.textContent = 'Show ' + Math.min(hidden, moreRows) + ' more' + (hidden > moreRows ? ' of ' + hidden : '');
  fewer.hidden = shown[name] === atFirst[name];
}

function drawCounts(parts) {
  const counts = countsOf(jobs.values());
  for (const count of document.querySelectorAll('[data-count]')) count.textContent = counts[count.dataset.count] || '';
  at('find').hidden = !jobs.size;
  at('empty').hidden = jobs.size > 0 || !isLive;
  at('no-match').hidden = !jobs.size || Object.values(parts).some(part => part.all);
  document.title = (isLive ? counts.running ? counts.running + ' running – ' : '' : 'not connected – ') + 'uvreap-jobserver';
}

for (const name of Object.keys(atFirst)) {
  at(name).querySelector('.show-more').onclick = () => {
    shown[name] += moreRows;
    draw();
  };
  at(name).querySelector('.show-fewer').onclick = () => {
    shown[name] = atFirst[name];
    draw();
    at(name).querySelector('.show-more').focus();
  };
}

at('find').onsubmit = submitted => submitted.preventDefault();
at('find').oninput = () => {
  // One kind alone has the room of all.
  const kind = at('find').elements.kind.value;
  for (const name of Object.keys(atFirst)) shown[name] = kind === 'all' ? atFirst[name] : moreRows;
  draw();
};
at('show-all').onclick = () => {
  at('find').reset();
  at('find').oninput();
  at('search').focus();
};

// ---- What is done with a job ----

async function toggle(row) {
  if (open !== null) rows.get(open)?.close();
  const {id} = row.job;
  open = open === id ? null : id;
  if (open) await openRow(row);
}

// One at a time: a browser has six connections to a server, and one that is followed takes two.
async function openRow(row) {
  try {
    const full = await server.askJson('v1/jobs/' + row.job.id);
    if (open === row.job.id && !row.isOpen) row.open(full);
  } catch (error) {
    say(textOf(error), 'bad');
    if (open === row.job.id) open = null;
  }
}

async function stop(row) {
  try {
    put(await server.end(row.job.id));
    say('Asked to end: ' + row.line);
  } catch (error) {
    say(textOf(error), 'bad');
  }
}

// Where the server does not have all of what was asked for, the form is filled as far as it goes.
async function again(row) {
  try {
    const known = orders.get(row.job.id);
    const full = known ? null : await server.askJson('v1/jobs/' + row.job.id);
    if (full && (full.stdin_bytes || full.env_names?.length)) {
      fill(full);
      const what = [full.stdin_bytes ? 'its input' : '', full.env_names?.length ? 'the values of ' + full.env_names.join(', ') : ''];
      say('The server does not keep ' + what.filter(Boolean).join(' and ') + ': please fill that in, then run it.', 'bad');
      return;
    }
    await run(known ?? orderOf(full));
  } catch (error) {
    say(textOf(error), 'bad');
  }
}

async function edit(row) {
  try {
    fill(orders.get(row.job.id) ?? await server.askJson('v1/jobs/' + row.job.id));
  } catch (error) {
    say(textOf(error), 'bad');
  }
}

function orderOf(job) {
  const order = {argv: job.argv};
  if (job.timeout) order.timeout = job.timeout;
  if (job.cwd) order.cwd = job.cwd;
  return order;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say('Copied.');
  } catch {
    say('This browser lets no page copy here; select it instead.', 'bad');
  }
}

// ---- Running a command ----

const form = at('start').elements;

async function run(order) {
  const job = await server.start(order);
  orders.set(job.id, order);
  if (!jobs.has(job.id)) put(job);  // else its events have overtaken this
  say((job.state === 'queued' ? 'It waits, as number ' + job.position + ': ' : 'Started: ') + lineOf(order.argv), 'good');
  if (open !== null) rows.get(open)?.close();
  open = job.id;
  draw();
  if (rows.has(job.id)) await openRow(rows.get(job.id));
}

function orderOfForm() {
  const order = {argv: wordsOf(form.command.value).words};
  if (form.timeout.value) order.timeout = Number(form.timeout.value);
  if (form.stdin.value) order.stdin = form.stdin.value;
  if (form.cwd.value) order.cwd = form.cwd.value;
  const env = environmentOf(form.env.value);
  if (Object.keys(env).length) order.env = env;
  return order;
}

// order: or a job, which has no input and of the environment the names alone.
function fill(order) {
  form.command.value = lineOf(order.argv);
  form.timeout.value = order.timeout ?? '';
  form.stdin.value = order.stdin ?? '';
  form.cwd.value = order.cwd ?? '';
  const env = order.env ? Object.entries(order.env).map(pair => pair.join('=')) : (order.env_names ?? []).map(name => name + '=');
  form.env.value = env.join('\n');
  at('more').open = Boolean(form.stdin.value || form.cwd.value || form.env.value || order.stdin_bytes);
  preview();
  form.command.focus();
}

// As tall as what is in it.
function fitCommand() {
  form.command.style.height = 'auto';
  form.command.style.height = form.command.scrollHeight + 2 + 'px';
}

function preview() {
  const {command} = form;
  fitCommand();
  const said = at('preview');
  said.className = 'soft';
  if (!command.value.trim()) {
    said.textContent = 'Words and quotes as in a shell, but no shell is run.';
    return;
  }
  try {
    const {words, sign} = wordsOf(command.value);
    said.replaceChildren(...words.flatMap(word => [element('code', {textContent: word}), ' ']));
    if (sign) said.append('No shell is run: ' + sign + ' is text as any other.');
  } catch (error) {
    said.textContent = error.message;
    said.className = 'bad';
  }
}

form.command.oninput = preview;
form.command.onkeydown = event => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at('start').requestSubmit();
};

at('start').onsubmit = async submitted => {
  submitted.preventDefault();
  try {
    await run(orderOfForm());
  } catch (error) {
    say(textOf(error), 'bad');
  }
};

function say(text, kind = 'soft') {
  at('said').textContent = text;
  at('said').className = kind;
}

function textOf(error) {
  const isKnown = error instanceof server.Refused || error instanceof BrokenLine || error.name !== 'TypeError';
  return isKnown ? error.message : 'The server does not answer.';
}

// ---- The server's events, and what is when it is gone ----

function heard({event, data}) {
  if (event === 'queued' || event === 'start' || event === 'end') put(data);
  if (event === 'beat') countLateness(data.late_ms);
}

async function reload(signal) {
  let told = [];  // of perhaps a million
  for await (const page of server.pagesOfJobs(signal)) told = keptOf(told.concat(page), mostEnded);
  jobs.clear();
  forgetWalls();
  for (const job of told) put(job);
}

// The list is read when the events have begun, so that nothing falls between them.
async function listen(stopped) {
  const {signal} = stopped;
  let watch = 0;
  const expectMore = () => {
    clearTimeout(watch);
    watch = setTimeout(() => stopped.abort(), silence);
  };
  try {
    expectMore();
    const answer = await server.ask('v1/events', {signal});
    await reload(signal);
    becomeLive();
    for await (const event of eventsOf(answer.body)) {
      expectMore();
      heard(event);
      if (event.event === 'dropped') await reload(signal);
    }
  } finally {
    clearTimeout(watch);
  }
}

let listening = new AbortController();
let wake = () => {};

async function connect() {
  for (let retry = 500;; retry = Math.min(retry * 2, latestRetry)) {
    while (document.hidden) await new Promise(resolve => wake = resolve);
    let why = '';
    try {
      listening = new AbortController();
      await listen(listening);
    } catch (error) {
      if (error.status === 401) {
        await askForToken();
        continue;
      }
      why = error instanceof server.Refused ? 'The server refuses: ' + error.message : '';
    }
    if (isLive) retry = 500;
    if (document.hidden) continue;
    becomeGone(why);
    await new Promise(resolve => {
      wake = resolve;
      setTimeout(resolve, retry);
    });
  }
}

function becomeLive() {
  isLive = true;
  at('gone').hidden = true;
  at('state').textContent = 'live';
  at('state').className = 'live';
  document.body.classList.remove('stale');
  const row = rows.get(open);
  if (row?.isOpen) row.output.show(jobs.get(open) ?? row.job);
  draw();
}

function becomeGone(why) {
  if (isLive || !goneSince) goneSince = Date.now();
  isLive = false;
  setText(at('gone-text'), why || 'The server has not answered since ' + clockOf(goneSince) +
    '. What is shown is as it was then. It is asked again every few seconds.');
  at('gone').hidden = false;
  at('state').textContent = 'not connected';
  at('state').className = 'gone';
  document.body.classList.add('stale');
  draw();
}

// A page that nobody sees holds no connections: a browser has six of them for all its tabs.
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) return wake();
  listening.abort();
  rows.get(open)?.output?.stop();
});
at('try').onclick = () => wake();
addEventListener('online', () => wake());

// ---- The token ----

let hasToken = () => {};

async function askForToken() {
  if (server.hasToken()) {
    at('ask-said').textContent = 'That is not its token.';
    at('ask-said').className = 'bad';
  }
  at('state').textContent = 'needs its token';
  at('state').className = 'connecting';
  at('ask').hidden = false;
  at('token').focus();
  await new Promise(resolve => hasToken = resolve);
  at('ask').hidden = true;
}

at('ask').querySelector('form').onsubmit = submitted => {
  submitted.preventDefault();
  server.useToken(at('token').value);
  hasToken();
};

// ---- ----

function showExample() {
  const token = document.documentElement.dataset.token === 'needed' ? ' -H "Authorization: Bearer $TOKEN"' : '';
  const url = new URL('v1/jobs', location.href).href;
  at('example').textContent = `curl -H 'Content-Type: application/json'${token} -d '{"argv": ["date"]}' ${url}`;
}
at('copy-example').onclick = () => copy(at('example').textContent);

setInterval(() => {
  if (!document.hidden && isLive) draw();
}, 1000);

addEventListener('resize', () => {
  fitCommand();
  drawCharts(at('walls'), at('late'));
});

showExample();
preview();
if (document.documentElement.dataset.token === 'needed' && !server.hasToken()) await askForToken();
connect();
