// What a job writes, in a picture of its terminal: one for stdout, one for stderr. It goes on as the job does.

import {element} from './element.js';
import {ask, Refused} from './server.js';
import {Terminal} from './terminal.js';
import {bytesOf} from './texts.js';

const tail = 256 * 1024;  // bytes of one that has ended

class Screen {
  constructor(name, label) {
    this.name = name;
    this.text = element('pre', {tabIndex: 0, role: 'log', ariaLabel: name + ' of ' + label});
    this.said = element('span', {className: 'soft'});
    this.save = element('button', {type: 'button', textContent: 'Save', ariaLabel: 'Save the ' + name + ' of ' + label});
    this.whole = element('section', {className: 'screen ' + name, ariaLabel: name},
      element('h4', {}, element('span', {className: 'name', textContent: name}), this.said, this.save), this.text);
    this.clear();
  }

  clear() {
    this.terminal = new Terminal();
    this.text.replaceChildren();
    this.text.hidden = true;
    this.gone = 0;  // lines of the terminal that are no longer drawn
    this.isDue = false;
  }

  feed(text) {
    this.terminal.feed(text);
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => this.draw());
  }

  // The last line that is there may have changed, and those after it are new.
  draw() {
    if (!this.isDue) return;
    this.isDue = false;
    const {text, terminal} = this;
    text.hidden = false;
    const isAtEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 8;
    text.lastChild?.remove();
    const drawn = text.childElementCount;
    const above = Math.min(terminal.dropped - this.gone, drawn);
    for (let i = 0; i < above; ++i) text.firstChild.remove();
    const first = terminal.dropped > this.gone + drawn ? 0 : drawn - above;
    this.gone = terminal.dropped;
    const last = terminal.lines.length - 1;
    text.append(...terminal.lines.slice(first).map((line, i) => element('span', {},
      ...line.map(piece => piece.style ? element('span', {className: piece.style, textContent: piece.text}) : piece.text),
      first + i < last ? '\n' : '')));
    if (isAtEnd) text.scrollTop = text.scrollHeight;
  }
}

export class Output {
  constructor(label) {
    this.screens = ['stdout', 'stderr'].map(name => new Screen(name, label));
    this.whole = element('div', {className: 'screens'}, ...this.screens.map(screen => screen.whole));
  }

  // From its beginning; what was shown is shown anew.
  show(job) {
    this.stop();
    this.stopped = new AbortController();
    for (const screen of this.screens) this.#read(screen, job, this.stopped.signal);
  }

  stop() { this.stopped?.abort(); }

  // What is said beside each name, as the job is now.
  update(job) {
    for (const screen of this.screens) {
      const {bytes, cut} = job[screen.name];
      if (screen.isFollowed || screen.failed) continue;
      const parts = [bytes ? bytesOf(bytes) : 'nothing'];
      if (screen.terminal.isCut || bytes > tail) parts.push('only the end is shown');
      if (cut === 'limit') parts.push('it wrote more than is kept');
      if (cut === 'time') parts.push('what came after its end is missing');
      screen.said.textContent = parts.join(', ');
    }
  }

  async #read(screen, job, signal) {
    const path = 'v1/jobs/' + job.id + '/' + screen.name;
    const isOver = job.state === 'ended';
    screen.clear();
    screen.failed = false;
    screen.isFollowed = !isOver;
    screen.whole.classList.toggle('followed', !isOver);
    screen.said.textContent = isOver ? '' : 'followed';
    screen.save.onclick = () => save(path, job.id + '.' + screen.name).catch(error => screen.said.textContent = error.message);
    try {
      if (isOver && !job[screen.name].bytes) return;
      const range = isOver && job[screen.name].bytes > tail ? {Range: 'bytes=-' + tail} : {};
      const answer = await ask(path + (isOver ? '' : '?follow'), {signal, headers: range});
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part; !(part = await reader.read()).done;) screen.feed(part.value);
    } catch (error) {
      if (signal.aborted) return;
      screen.failed = true;
      screen.said.textContent = error instanceof Refused ? error.message : 'the connection is lost: this is how far it came';
    } finally {
      if (!signal.aborted) {
        screen.isFollowed = false;
        screen.whole.classList.remove('followed');
        this.onEnd?.();
      }
    }
  }
}

// A link could not bear the token.
async function save(path, name) {
  const link = element('a', {href: URL.createObjectURL(await (await ask(path)).blob()), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
