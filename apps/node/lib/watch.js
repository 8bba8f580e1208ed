'use strict';
const checked = require('./checked.js');
const { systemError, AbortError } = require('./errors.js');
const { native, waiting, newId } = require('./native.js');

const reasons = {
  EBUSY: "it is child_process's: listen to its 'exit' event",
  EEXIST: 'it is watched already',
  ESRCH: 'this process has no such child',
};

const terminationReasons = {
  EALREADY: 'it is being terminated already',
  ESRCH: 'neither watch() nor run() waits for it',
};

async function watch(pid, options = {}) {
  checked.pid(pid);
  const { timeout = 0, grace = 5000, ref = true, signal } = checked.object('options', options);
  checked.milliseconds('timeout', timeout);
  checked.milliseconds('grace', grace);
  checked.boolean('ref', ref);
  checked.abortSignal(signal);
  if (signal?.aborted) throw new AbortError(signal);

  const id = newId();
  const error = native.watch(id, pid, ref, timeout, grace);
  if (error !== 0) throw systemError(error, 'watch', pid, reasons);
  return new Promise((resolve, reject) => {
    // The child is let be, and still reaped: nothing else in Node could wait for it.
    const abort = () => {
      native.detach(id, pid);
      waiting.delete(id);
      reject(new AbortError(signal));
    };
    signal?.addEventListener('abort', abort, { once: true });
    waiting.set(id, {
      exited(exit) {
        signal?.removeEventListener('abort', abort);
        resolve(exit);
      },
    });
  });
}

function terminate(pid, options = {}) {
  checked.pid(pid);
  const { grace = 5000 } = checked.object('options', options);
  checked.milliseconds('grace', grace);
  const error = native.terminate(pid, grace);
  if (error !== 0) throw systemError(error, 'terminate', pid, terminationReasons);
}

module.exports = { watch, terminate };
