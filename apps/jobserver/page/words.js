// The words of a command line, quoted as in a shell; nothing is expanded. The rules are those of uvreap run
// (apps/uvreap/words.cpp), and $'...' as in bash, for what cannot be typed.

export class BrokenLine extends Error {}

const escapes = {a: '\x07', b: '\b', e: '\x1b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v'};

function escapeAt(text, at) {
  const hex = /^x([0-9a-fA-F]{1,2})|^u([0-9a-fA-F]{1,4})/.exec(text.slice(at));
  if (hex) return {text: String.fromCodePoint(parseInt(hex[1] ?? hex[2], 16)), length: hex[0].length};
  return {text: escapes[text[at]] ?? text[at], length: 1};
}

// What a shell would do something about, which is not quoted: an operator, a variable, a pattern.
function shellSignAt(text, inWord) {
  if (!inWord && text.startsWith('~/')) return '~/';
  return /^[|&;<>`*]/.exec(text)?.[0] ?? /^\$[A-Za-z_({][A-Za-z_0-9({]*/.exec(text)?.[0] ?? '';
}

// {words, sign}: sign is the first thing that means something else to a shell, or ''.
export function wordsOf(line) {
  const words = [];
  let word = null;  // none has begun
  let sign = '';
  let quote = '';  // ', " or $'
  const push = text => word = (word ?? '') + text;
  for (let i = 0; i < line.length; ++i) {
    const c = line[i];
    if (!sign && (!quote || (quote === '"' && /[$`]/.test(c)))) sign = shellSignAt(line.slice(i, i + 80), word !== null);
    if (!quote && /[ \t\r\n]/.test(c)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (!quote && word === null && c === '#') {
      const end = line.indexOf('\n', i);
      i = end < 0 ? line.length : end;
    } else if (!quote && (c === '\'' || c === '"')) {
      quote = c;
      push('');
    } else if (!quote && c === '$' && line[i + 1] === '\'') {
      quote = '$\'';
      ++i;
      push('');
    } else if (quote && c === quote.at(-1)) {
      quote = '';
    } else if (c === '\\' && quote !== '\'') {
      if (i + 1 === line.length) throw new BrokenLine('There is nothing after the last \\.');
      const escaped = quote === '$\'' ? escapeAt(line, i + 1) : {text: line[i + 1], length: 1};
      push(escaped.text);
      i += escaped.length;
    } else {
      push(c);
    }
  }
  if (quote) throw new BrokenLine('A ' + quote + ' is not closed.');
  if (word !== null) words.push(word);
  if (!words.length) throw new BrokenLine('There is no command.');
  if (!words[0]) throw new BrokenLine('An empty word names no program.');
  return {words, sign};
}

function quotedWord(word) {
  if (/^[A-Za-z0-9_@%+:,./-]+$/.test(word)) return word;
  if (!/[\x00-\x08\x0b-\x1f\x7f-\x9f]/.test(word)) return '\'' + word.replaceAll('\'', '\'\\\'\'') + '\'';
  const escaped = word.replace(/['\\]/g, '\\$&').replace(/[\x00-\x1f\x7f-\x9f]/g, c => {
    const code = c.charCodeAt(0);
    return c === '\n' ? '\\n' : code < 0x80 ? '\\x' + code.toString(16).padStart(2, '0') : '\\u' + code.toString(16).padStart(4, '0');
  });
  return '$\'' + escaped + '\'';
}

// One that a shell, and wordsOf(), read as these words.
export const lineOf = words => words.map(quotedWord).join(' ');
