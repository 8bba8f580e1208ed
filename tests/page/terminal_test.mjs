// What a program writes, as lines and styles.
import assert from 'node:assert/strict';
import test from 'node:test';
import {Terminal} from '../../apps/jobserver/page/terminal.js';

// As HTML would have it: <style>text</>.
function shown(text, piece = text.length || 1) {
  const terminal = new Terminal();
  for (let i = 0; i < text.length; i += piece) terminal.feed(text.slice(i, i + piece));
  return terminal.lines.map(line => line.map(({text, style}) => style ? `<${style}>${text}</>` : text).join('')).join('\n');
}

const cases = [
  ['a\nb\n', 'a\nb\n'],
  ['\x1b[31mred\x1b[0m plain', '<fg1>red</> plain'],
  ['\x1b[1;32mok\x1b[m', '<bold fg2>ok</>'],
  ['\x1b[31ma\nb\x1b[39mc', '<fg1>a</>\n<fg1>b</>c'],
  ['\x1b[1ma\x1b[22mb\x1b[3;4;9mc\x1b[23;24;29md', '<bold>a</>b<italic underline strike>c</>d'],
  ['\x1b[91ma\x1b[103mb', '<fg9>a</><fg9 bg11>b</>'],
  ['\x1b[38;5;196ma\x1b[38;5;244mb\x1b[48;5;4mc', '<fg1>a</><fg8>b</><fg8 bg4>c</>'],
  ['\x1b[38;2;0;200;0ma\x1b[38:2::0:0:230mb', '<fg2>a</><fg4>b</>'],
  ['\x1b[58;5;1;1ma', '<bold>a</>'],
  ['\x1b[7ma\x1b[31mb\x1b[27mc', '<fgground bgink>a</><fgground bg1>b</><fg1>c</>'],
  ['\x1b[4:3ma\x1b[4:0mb', '<underline>a</>b'],
  [' 10%\r 20%\rdone\n', 'done\n'],
  ['a\r\nb\r\n', 'a\nb\n'],
  ['a\r', 'a'],
  ['abc\b\bx', 'ax'],
  ['\x1b[2K\x1b[1;1Hx\x1b[?25l', 'x'],
  ['\x1b]0;a title\x07x\x1b]8;;http://e\x1b\\link\x1b]8;;\x1b\\', 'xlink'],
  ['\x1b(B\x1b=\x1bMx\x1bPq#0\x1b\\y', 'xy'],
  ['\x00\x07a\x7f\x9b\x0e', 'a'],
  ['é\u{1f600}\tx', 'é\u{1f600}\tx'],
  ['<script>&', '<script>&'],
];

test('colours are styles, and no other control sequence is left', () => {
  for (const [text, want] of cases) assert.equal(shown(text), want, JSON.stringify(text));
});

test('it does not matter in which pieces it comes', () => {
  for (const [text, want] of cases) {
    for (const piece of [1, 2, 3]) assert.equal(shown(text, piece), want, JSON.stringify(text));
  }
});

test('a sequence that never ends is not waited for without end, and hides nothing that comes after', () => {
  const terminal = new Terminal();
  terminal.feed('\x1b]0;' + 'x'.repeat(5000));
  terminal.feed('\nnext\n');
  assert.equal(terminal.lines.at(-2)[0].text, 'next');
});

test('the end is kept of what is too long, in lines and in one', () => {
  const terminal = new Terminal();
  for (let i = 0; i < 100; ++i) terminal.feed(('line ' + i).padEnd(7000, '.') + '\n');
  assert.ok(terminal.isCut);
  assert.equal(terminal.lines.length, 100 - terminal.dropped + 1);
  assert.ok(terminal.lines.at(-2)[0].text.startsWith('line 99'));
  const size = terminal => terminal.lines.flat().reduce((sum, piece) => sum + piece.text.length, terminal.lines.length - 1);
  assert.ok(size(terminal) <= 256 * 1024 && size(terminal) > 240 * 1024);
  const one = new Terminal();
  for (let i = 0; i < 40; ++i) one.feed('\x1b[3' + i % 8 + 'm' + 'x'.repeat(10000));
  assert.equal(size(one), 256 * 1024);
  assert.equal(one.lines.length, 1);
});

test('a progress line of a million steps takes no room and little time', () => {
  const terminal = new Terminal();
  const began = process.cpuUsage().user;
  for (let i = 0; i < 1000; ++i) terminal.feed('\r\x1b[K 50%'.repeat(1000));
  assert.deepEqual(terminal.lines, [[{text: ' 50%', style: ''}]]);
  assert.ok(process.cpuUsage().user - began < 20e6);
});
