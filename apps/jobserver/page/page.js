'use strict';
// Live jobs: what ran before we came by GET v1/jobs, everything after that by the events of v1/events. Those
// are read by fetch, since an EventSource cannot send the token. URLs are relative: a proxy may add a prefix.

const shown = 50;  // ended jobs in the table
const seconds = 60;  // of lateness in its picture
const wallClasses = [1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000, Infinity];  // ms, upper ends

const running = new Map();  // id -> job, with the time that it was begun by our clock
const wallCounts = wallClasses.map(() => 0);
const lateness = [];
let endedCount = 0;
let token = sessionStorage.getItem('token') || '';

const at = id => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function timeOf(ms) {
  if (ms < 10) return ms.toFixed(1) + ' ms';
  if (ms < 1000) return ms.toFixed(0) + ' ms';
  if (ms < 100000) return (ms / 1000).toFixed(1) + ' s';
  return (ms / 60000).toFixed(0) + ' min';
}

async function ask(path, options = {}) {
  const headers = {...options.headers};
  if (token) headers.Authorization = 'Bearer ' + token;
  const answer = await fetch(path, {...options, headers});
  if (answer.status === 401) at('ask').hidden = false;
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return answer;
}

const askJson = async (path, options) => (await ask(path, options)).json();

// ---- the tables ----

function begin(job) {
  const wall = element('td', {className: 'wall'});
  const end = element('button', {textContent: 'end', onclick: () => terminate(job.id)});
  const row = element('tr', {},
    element('td', {textContent: job.id.slice(-6), title: job.id}),
    element('td', {className: 'argv', textContent: job.argv.join(' '), title: job.argv.join(' ')}),
    wall, element('td', {}, end));
  at('running').append(row);
  running.set(job.id, {row, wall, begun: performance.now() - job.wall_ms});
  count();
}

function end(job) {
  running.get(job.id)?.row.remove();
  running.delete(job.id);
  ++endedCount;
  ++wallCounts[wallClasses.findIndex(upper => job.wall_ms <= upper)];
  const how = job.timed_out ? job.status + ', timed out' : job.status;
  const row = element('tr', {onclick: () => showOutput(row, job.id)},
    element('td', {textContent: job.id.slice(-6), title: job.id}),
    element('td', {className: 'argv', textContent: job.argv.join(' '), title: job.argv.join(' ')}),
    element('td', {className: job.exit_code === 0 ? 'good' : 'bad', textContent: how, title: how}),
    element('td', {className: 'wall', textContent: timeOf(job.wall_ms)}));
  row.dataset.job = job.id;
  at('ended').prepend(row);
  while (at('ended').children.length > shown) at('ended').lastElementChild.remove();
  count();
}

function count() {
  at('running-count').textContent = running.size || '';
  at('ended-count').textContent = endedCount || '';
}

async function showOutput(row, id) {
  if (row.nextElementSibling?.dataset.of) return row.nextElementSibling.remove();
  let text;
  try {
    const job = await askJson('v1/jobs/' + id);
    text = '';
    for (const stream of ['stdout', 'stderr']) {
      text += await (await ask('v1/jobs/' + id + '/' + stream)).text();
      if (job[stream].cut) text += '\n[' + stream + ' is cut by ' + job[stream].cut + ']\n';
    }
    text = text.trimEnd() || '(no output)';
    if (job.usage) {
      text += '\n\nCPU ' + timeOf((job.usage.user_us + job.usage.system_us) / 1000) +
        ', max RSS ' + (job.usage.max_rss_bytes / 1048576).toFixed(1) + ' MiB';
    }
  } catch (error) {
    text = error.message;
  }
  const more = element('tr', {}, element('td', {className: 'output', colSpan: 4}, element('pre', {textContent: text})));
  more.dataset.of = id;
  row.after(more);
}

async function terminate(id) {
  try {
    await ask('v1/jobs/' + id, {method: 'DELETE'});
  } catch (error) {
    say(error.message, 'bad');
  }
}

// ---- the pictures ----

function svg(name, attributes, text) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// bars: [{value, label, title}]
function draw(picture, bars, highest, highestLabel) {
  const width = picture.clientWidth, height = picture.clientHeight, foot = 18, head = 16;
  const step = width / bars.length;
  const parts = [svg('text', {x: 0, y: 10}, highestLabel)];
  bars.forEach((bar, i) => {
    const tall = highest > 0 ? (height - foot - head) * bar.value / highest : 0;
    const rect = svg('rect', {x: i * step + 1, y: height - foot - tall, width: Math.max(step - 2, 1), height: Math.max(tall, bar.value > 0 ? 1 : 0), rx: 1});
    rect.append(svg('title', {}, bar.title));
    parts.push(rect);
    if (bar.label) parts.push(svg('text', {x: i * step + step / 2, y: height - 4, 'text-anchor': 'middle'}, bar.label));
  });
  parts.push(svg('line', {x1: 0, x2: width, y1: height - foot, y2: height - foot, stroke: 'var(--line)'}));
  picture.replaceChildren(...parts);
}

function drawAll() {
  const most = Math.max(...wallCounts);
  draw(at('walls'), wallClasses.map((upper, i) => {
    const label = upper === Infinity ? 'more' : upper < 100 ? upper + ' ms' : upper / 1000 + ' s';
    return {value: wallCounts[i], label, title: wallCounts[i] + ' up to ' + label};
  }), most, most ? most + (most === 1 ? ' job' : ' jobs') : 'none yet');
  const bars = lateness.map(ms => ({value: ms, title: ms.toFixed(1) + ' ms'}));
  while (bars.length < seconds) bars.unshift({value: 0, title: ''});
  const worst = Math.max(0, ...lateness);
  draw(at('late'), bars, Math.max(worst, 5), lateness.length ? 'worst ' + worst.toFixed(1) + ' ms' : '');
}

function tick() {
  const now = performance.now();
  for (const job of running.values()) job.wall.textContent = timeOf(now - job.begun);
  drawAll();
}

// ---- what comes ----

function say(text, kind = 'soft') {
  at('said').textContent = text;
  at('said').className = kind;
}

function heard({event, data}) {
  if (event === 'start' && !running.has(data.id)) begin(data);
  if (event === 'end' && !at('ended').querySelector(`[data-job="${data.id}"]`)) end(data);
  if (event === 'dropped') reload();
  if (event === 'beat') {
    lateness.push(data.late_ms);
    if (lateness.length > seconds) lateness.shift();
  }
}

async function reload() {
  const jobs = [];
  for (let after = ''; after !== null;) {
    const page = await askJson('v1/jobs?limit=1000' + (after && '&after=' + after));
    jobs.push(...page.jobs);
    after = page.next;
  }
  for (const name of ['running', 'ended']) at(name).replaceChildren();
  running.clear();
  wallCounts.fill(0);
  endedCount = 0;
  for (const job of jobs) {
    if (job.state === 'ended') end(job);
    if (job.state === 'running') begin(job);
  }
}

// The events of a stream of text, as they come.
async function* eventsOf(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const event = block.match(/^event: (.*)$/m)?.[1];
      if (event) yield {event, data: JSON.parse(block.match(/^data: (.*)$/m)[1])};
    }
  }
}

// The list is read when the events have begun, so that nothing falls between them.
async function listen() {
  try {
    const answer = await ask('v1/events');
    await reload();
    at('state').textContent = 'live';
    at('state').className = 'good';
    for await (const event of eventsOf(answer)) heard(event);
  } catch (error) {
    if (error.name !== 'TypeError') say(error.message, 'bad');  // what the server said; not that it is gone
  }
  at('state').textContent = 'not connected';
  at('state').className = 'bad';
  setTimeout(listen, 1000);
}

at('start').onsubmit = async submitted => {
  submitted.preventDefault();
  const form = submitted.target;
  const text = form.argv.value.trim();
  try {
    const order = {argv: text.startsWith('[') ? JSON.parse(text) : text.split(/\s+/)};
    if (form.timeout.value) order.timeout = Number(form.timeout.value);
    const job = await askJson('v1/jobs', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(order)});
    say(job.state === 'queued' ? 'It waits, as number ' + job.position + '.' : 'Started.');
  } catch (error) {
    say(error.message, 'bad');
  }
};

at('ask').querySelector('form').onsubmit = submitted => {
  submitted.preventDefault();
  token = submitted.target.token.value;
  sessionStorage.setItem('token', token);
  at('ask').hidden = true;
};

listen();
setInterval(tick, 250);
tick();
