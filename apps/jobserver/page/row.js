// A job in the list: a line, and below it, when it is opened, all about it and what it writes.

import {element, setText} from './element.js';
import {kindOf} from './list.js';
import {Output} from './output.js';
import {bytesOf, clockOf, endingOf, timeOf} from './texts.js';
import {lineOf} from './words.js';

const signs = {running: '●', waiting: '○', ok: '✓', failed: '✕'};

function button(text, onclick) {
  return element('button', {type: 'button', textContent: text, onclick});
}

export class Row {
  // on: {toggle, stop, again, edit, copy}, each called with the row.
  constructor(job, on) {
    this.job = job;
    this.on = on;
    this.sign = element('span', {className: 'sign', ariaHidden: 'true'});
    this.how = element('span');
    this.command = element('button', {type: 'button', className: 'command', onclick: () => on.toggle(this)});
    this.command.setAttribute('aria-expanded', 'false');
    this.wall = element('span', {className: 'wall'});
    this.when = element('time', {className: 'when'});
    this.stop = button('Stop', () => on.stop(this));
    this.again = button('Run again', () => on.again(this));
    this.whole = element('li', {},
      element('div', {className: 'line'},
        element('span', {className: 'how'}, this.sign, this.how), this.command, this.wall, this.when,
        element('span', {className: 'actions'}, this.stop, this.again)));
    this.whole.dataset.job = job.id;
    this.#name(lineOf(job.argv));
  }

  get isOpen() { return this.details !== undefined; }

  #name(line) {
    this.line = line;
    this.command.replaceChildren(element('code', {textContent: line}));
    this.command.title = line;
    this.again.ariaLabel = 'Run again: ' + line;
  }

  // wall: how long it has run, in ms. place: among those that wait.
  update(job, wall, place) {
    this.job = job;
    const kind = kindOf(job);
    if (this.whole.className !== kind) this.whole.className = kind;
    setText(this.sign, signs[kind]);
    setText(this.how, kind === 'waiting' ? 'waiting, #' + place : endingOf(job));
    setText(this.wall, kind === 'waiting' ? '' : timeOf(wall));
    const from = job.started_ms ?? job.created_ms;
    setText(this.when, clockOf(from));
    if (this.when.dateTime !== new Date(from).toISOString()) this.when.dateTime = new Date(from).toISOString();
    const isLive = job.state !== 'ended';
    this.stop.hidden = !isLive;
    this.again.hidden = isLive;
    setText(this.stop, kind === 'waiting' ? 'Cancel' : 'Stop');
    this.stop.ariaLabel = this.stop.textContent + ': ' + this.line;
    this.stop.disabled = job.terminated && isLive;
    if (this.isOpen) this.#updateDetails();
  }

  // full: the job with all of its arguments.
  open(full) {
    this.#name(lineOf(full.argv));
    this.facts = element('dl', {className: 'facts'});
    this.output = new Output(this.line);
    this.output.onEnd = () => this.output.update(this.job);
    this.details = element('div', {className: 'details', id: 'details-' + this.job.id},
      element('div', {className: 'whole'}, element('code', {textContent: this.line}),
        button('Copy', () => this.on.copy(this)), button('Edit', () => this.on.edit(this))),
      this.facts, this.output.whole);
    this.whole.append(this.details);
    this.command.setAttribute('aria-expanded', 'true');
    this.command.setAttribute('aria-controls', this.details.id);
    this.output.show(this.job);
    this.#updateDetails();
  }

  close() {
    if (!this.isOpen) return;
    this.output.stop();
    this.details.remove();
    this.details = undefined;
    this.command.setAttribute('aria-expanded', 'false');
    this.command.removeAttribute('aria-controls');
  }

  #updateDetails() {
    const {job} = this;
    const facts = [];
    if (job.status) facts.push(['ended', job.status + (job.timed_out ? ', by its timeout' : '')]);
    if (job.started_ms) facts.push(['started', clockOf(job.started_ms)]);
    if (job.pid) facts.push(['pid', job.pid]);
    if (job.timeout) facts.push(['timeout', job.timeout + ' s']);
    if (job.cwd) facts.push(['directory', job.cwd]);
    if (job.env_names?.length) facts.push(['environment', job.env_names.join(', ')]);
    if (job.stdin_bytes) facts.push(['input', bytesOf(job.stdin_bytes)]);
    if (job.usage) {
      facts.push(['CPU', timeOf((job.usage.user_us + job.usage.system_us) / 1000)]);
      facts.push(['max RSS', bytesOf(job.usage.max_rss_bytes)]);
    }
    if (job.started_ms > job.created_ms) facts.push(['waited', timeOf(job.started_ms - job.created_ms)]);
    facts.push(['id', job.id]);
    const text = JSON.stringify(facts);
    if (this.factsText !== text || !this.facts.childElementCount) {
      this.factsText = text;
      this.facts.replaceChildren(...facts.map(([name, value]) => element('div', {},
        element('dt', {textContent: name}), element('dd', {textContent: value}))));
    }
    this.output.update(job);
  }
}
