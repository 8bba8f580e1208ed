// The words of a command line: quoted as in a shell, and back.
import assert from 'node:assert/strict';
import test from 'node:test';
import {lineOf, wordsOf} from '../../apps/jobserver/page/words.js';

test('words are split at blanks, and quotes hold blanks', () => {
  for (const [line, words] of [
    ['sort -u', ['sort', '-u']],
    ['  sort \t -u \n', ['sort', '-u']],
    ['sh -c \'echo "a  b"; exit 3\'', ['sh', '-c', 'echo "a  b"; exit 3']],
    ['echo "it\'s" "a \\"b\\""', ['echo', 'it\'s', 'a "b"']],
    ['echo a\\ b \\\'', ['echo', 'a b', '\'']],
    ['echo a"b c"d\'e\'', ['echo', 'ab cde']],
    ['echo "" \'\'', ['echo', '', '']],
    ['echo \'a\nb\'', ['echo', 'a\nb']],
    ['echo a#b # a comment', ['echo', 'a#b']],
    ['# one\necho two', ['echo', 'two']],
    ['echo \'\\n\'', ['echo', '\\n']],
    ['echo $\'a\\n\\x1b[1m\\\'\\u00e9\'', ['echo', 'a\n\x1b[1m\'é']],
  ]) assert.deepEqual(wordsOf(line).words, words, line);
});

test('a line that is broken says where', () => {
  for (const [line, what] of [
    ['echo "a', /" is not closed/], ['echo \'a', /' is not closed/], ['echo $\'a\\\'', /\$' is not closed/],
    ['echo a\\', /nothing after/], ['', /no command/], ['   ', /no command/], ['\'\' a', /names no program/],
  ]) assert.throws(() => wordsOf(line), what, line);
});

test('what a shell would do something about is named', () => {
  for (const [line, sign] of [
    ['ls | wc', '|'], ['echo $HOME', '$HOME'], ['echo "$HOME"', '$HOME'], ['ls *.txt', '*'], ['a && b', '&'],
    ['cd ~/x', '~/'], ['echo `date`', '`'], ['a > b', '>'],
    ['echo \'$HOME | *\'', ''], ['echo "|"', ''], ['echo \\*', ''], ['echo $', ''], ['echo a~/b', ''], ['echo $\'a\'', ''],
  ]) assert.equal(wordsOf(line).sign, sign, line);
});

test('words that are quoted are read as the same words', () => {
  assert.equal(lineOf(['sh', '-c', 'echo it\'s']), 'sh -c \'echo it\'\\\'\'s\'');
  assert.equal(lineOf(['a', '', 'b c', 'x=1']), 'a \'\' \'b c\' \'x=1\'');
  assert.equal(lineOf(['echo', '\x1b[1m\n']), 'echo $\'\\x1b[1m\\n\'');
  // Every character of one byte, alone and between letters; and words of them at random.
  const all = [];
  for (let code = 1; code < 256; ++code) all.push(String.fromCharCode(code), 'a' + String.fromCharCode(code) + '1');
  let seed = 7;
  const random = below => (seed = (seed * 48271) % 2147483647) % below;
  for (let i = 0; i < 500; ++i) {
    all.push(Array.from({length: random(12)}, () => '\'"\\$ \n\t\r#|~a0é\x1b'[random(16)]).join(''));
  }
  for (const word of all) assert.deepEqual(wordsOf(lineOf(['echo', word, word])).words, ['echo', word, word], JSON.stringify(word));
});
