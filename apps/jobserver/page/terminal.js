// What a program wrote, as lines of pieces that look alike: colours and the like (SGR) become the pieces'
// styles, a carriage return begins its line anew, and every other control sequence is dropped.
//
//     const terminal = new Terminal();
//     terminal.feed('\x1b[31mred\x1b[0m\n');
//     terminal.lines;  // [[{text: 'red', style: 'fg1'}], []]

const most = 256 * 1024;  // characters kept; the first lines go first

// Text; newline, return, backspace; CSI; OSC and its like, which have an end of their own; other escapes.
const next = /([^\x00-\x08\x0a-\x1f\x7f-\x9f]+)|([\n\r\b])|\x1b\[([0-?]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-OQ-WYZ\\`-~]|[^]/y;
const unfinished = /^\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)$/;
const longestUnfinished = 4096;

// xterm's first nine, of which the nearest stands for one of 256 or 16 million: those the page can show on
// light and dark.
const basic = [[0, 0, 0], [205, 0, 0], [0, 205, 0], [205, 205, 0], [0, 0, 238], [205, 0, 205], [0, 205, 205], [229, 229, 229], [127, 127, 127]];

function nearest(red, green, blue) {
  const distances = basic.map(([r, g, b]) => (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2);
  return distances.indexOf(Math.min(...distances));
}

function basicOf256(n) {
  if (n < 16) return n;
  if (n >= 232) return nearest(...Array(3).fill(8 + 10 * (n - 232)));
  const level = part => part && 55 + 40 * part;
  return nearest(level(Math.floor((n - 16) / 36)), level(Math.floor((n - 16) / 6) % 6), level((n - 16) % 6));
}

// Of 38 or 48 at i: which of the 16, and how many numbers it took.
function colourAt(numbers, i) {
  if (numbers[i + 1] === 5) return [basicOf256(numbers[i + 2] || 0), 2];
  if (numbers[i + 1] === 2) return [nearest(...[2, 3, 4].map(at => numbers[i + at] || 0)), 4];
  return [null, 0];
}

const switches = {1: 'bold', 2: 'dim', 3: 'italic', 4: 'underline', 7: 'inverse', 9: 'strike'};
const offs = {22: ['bold', 'dim'], 23: ['italic'], 24: ['underline'], 27: ['inverse'], 29: ['strike'], 39: ['fg'], 49: ['bg']};

export class Terminal {
  lines = [[]];  // the last may go on
  dropped = 0;  // lines, of the first
  isCut = false;  // something of the beginning is gone

  #size = 0;
  #rest = '';  // an escape whose end has not come
  #look = {};
  #style = '';
  #returned = false;

  feed(text) {
    text = this.#rest + text;
    this.#rest = '';
    next.lastIndex = 0;
    while (next.lastIndex < text.length) {
      const at = next.lastIndex;
      if (text[at] === '\x1b' && text.length - at < longestUnfinished && unfinished.test(text.slice(at))) {
        this.#rest = text.slice(at);
        break;
      }
      const [, plain, move, numbers, final] = next.exec(text);
      if (plain) this.#write(plain);
      else if (move) this.#move(move);
      else if (final === 'm') this.#restyle(numbers);
    }
    this.#trim();
  }

  #write(text) {
    if (this.#returned) {
      this.#size -= lengthOf(this.lines.pop());
      this.lines.push([]);
      this.#returned = false;
    }
    const line = this.lines.at(-1);
    if (line.length && line.at(-1).style === this.#style) line.at(-1).text += text;
    else line.push({text, style: this.#style});
    this.#size += text.length;
  }

  #move(move) {
    this.#returned = move === '\r';
    if (move === '\n') {
      this.lines.push([]);
      ++this.#size;
    }
    const line = this.lines.at(-1);
    if (move !== '\b' || !line.length) return;
    line.at(-1).text = line.at(-1).text.slice(0, -1);
    --this.#size;
    if (!line.at(-1).text) line.pop();
  }

  #restyle(text) {
    const plain = text.replace(/([345]8):2:\d*:(\d+):(\d+):(\d+)/g, '$1;2;$2;$3;$4').replace(/\b4:0/g, '24').replace(/\b4:\d/g, '4');
    const numbers = plain.split(/[;:]/).map(Number);
    const look = this.#look;
    for (let i = 0; i < numbers.length; ++i) {
      const n = numbers[i];
      if (n === 0) for (const name of Object.keys(look)) delete look[name];
      else if (switches[n]) look[switches[n]] = true;
      else if (offs[n]) for (const name of offs[n]) delete look[name];
      else if (n >= 30 && n <= 37) look.fg = n - 30;
      else if (n >= 40 && n <= 47) look.bg = n - 40;
      else if (n >= 90 && n <= 97) look.fg = n - 82;
      else if (n >= 100 && n <= 107) look.bg = n - 92;
      else if (n === 38 || n === 48 || n === 58) {
        const [colour, taken] = colourAt(numbers, i);
        if (colour !== null && n !== 58) look[n === 38 ? 'fg' : 'bg'] = colour;
        i += taken;
      }
    }
    let {fg, bg} = look;
    if (look.inverse) [fg, bg] = [bg ?? 'ground', fg ?? 'ink'];
    const names = ['bold', 'dim', 'italic', 'underline', 'strike'].filter(name => look[name]);
    if (fg !== undefined) names.push('fg' + fg);
    if (bg !== undefined) names.push('bg' + bg);
    this.#style = names.join(' ');
  }

  #trim() {
    while (this.#size > most) {
      this.isCut = true;
      if (this.lines.length > 1) {
        this.#size -= lengthOf(this.lines.shift()) + 1;
        ++this.dropped;
        continue;
      }
      const [first] = this.lines[0];
      const above = Math.min(this.#size - most, first.text.length);
      first.text = first.text.slice(above);
      this.#size -= above;
      if (!first.text) this.lines[0].shift();
    }
  }
}

const lengthOf = line => line.reduce((sum, piece) => sum + piece.text.length, 0);
