// The addon, and who waits for which child: it is given an id, and says that id back.
'use strict';
const os = require('os');

const native = require('../build/Release/uvreap.node');

const waiting = new Map(); // id -> {exited(exit), started(error, pid, input)}
let lastId = 0;

// 0 is an orphan's.
function newId() {
  do lastId = (lastId + 1) >>> 0;
  while (lastId === 0 || waiting.has(lastId));
  return lastId;
}

// The first name of each number, as child_process has it.
const names = new Map();
for (const [name, number] of Object.entries(os.constants.signals)) {
  if (!names.has(number)) names.set(number, name);
}

function exited(id, exit) {
  const one = waiting.get(id);
  if (id !== 0) waiting.delete(id);
  if (exit.signal !== null) exit.signal = names.get(exit.signal) ?? `SIG${exit.signal}`;
  one.exited(exit);
}

function started(id, error, pid, input) {
  const one = waiting.get(id);
  if (error !== 0) waiting.delete(id);
  one.started(error, pid, input);
}

native.tellBy(exited, started);

module.exports = { native, waiting, newId };
