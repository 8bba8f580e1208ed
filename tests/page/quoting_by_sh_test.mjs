// What the page shows as a command can be given to a shell: bash reads it as the same words.
import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import test from 'node:test';
import {lineOf} from '../../apps/jobserver/page/words.js';

test('bash reads a quoted line as the words it is made of', () => {
  const words = ['plain', '', 'a b', 'it\'s', '"', '\\', '$HOME', '`id`', '*', '~/x', '#x', '!x', 'a\nb', '\ttab', '\x1b[1m\'\\', 'é', '\r', 'a=b', '-n', '{a,b}'];
  const said = spawnSync('bash', ['-c', 'printf \'%s\\0\' ' + lineOf(words)], {encoding: 'utf8'});
  assert.deepEqual(said.stdout.split('\0').slice(0, -1), words);
});
