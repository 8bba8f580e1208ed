// Makes and watches children with Node's child_process; engines/programs.cpp says what is spoken.
//
//     node child_process_peer.js HELPER MEMORY_DESCRIPTOR
'use strict';
const { spawn } = require('child_process');
const { writeSync } = require('fs');
const { createInterface } = require('readline');

const [helper, memory] = process.argv.slice(2);
const now = process.hrtime.bigint;
const say = (...words) => writeSync(1, words.join(' ') + '\n');

function make(slot) {
  const began = now();
  // Node closes what it does not name: the memory becomes descriptor 3.
  const stdio = ['inherit', 'inherit', 'inherit', Number(memory)];
  const child = spawn(helper, ['3', slot, String(process.pid)], { stdio, env: {} });
  const made = now();
  child.on('exit', () => {
    const told = now();
    say('told', slot, began, made, told);
  });
}

createInterface({ input: process.stdin }).on('line', (line) => make(line.split(' ')[1]));
say('hello', now(), 'Node', process.version);
