'use strict';
const os = require('os');

const checked = require('./checked.js');
const { invalid, systemError } = require('./errors.js');
const { native, waiting } = require('./native.js');

const reasons = {
  EBUSY: 'orphans are being reaped already',
  ENOTSUP: "orphans come to the main thread, and are not told from child_process's children on another",
};

// What ends a program that has no handler. The kernel drops them where PID 1 has none, and Node's own handler
// for two of them restores the terminal and raises them again, which as PID 1 ends nothing.
const endingSignals = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'];

// Where the program listens to the signal, that decides.
function end(name) {
  if (process.listenerCount(name) === 1) process.exit(128 + os.constants.signals[name]);
}

class Orphans {
  #signals;
  #runs = true;

  constructor(signals) {
    this.#signals = signals;
    for (const name of signals) process.on(name, end);
  }

  // Both work without their object, too: const { stop } = reapOrphans().

  // This child is other code's to wait for.
  exclude = (pid) => {
    checked.pid(pid);
    const error = native.exclude(pid);
    if (error !== 0) throw systemError(error, 'exclude', pid);
  };

  stop = () => {
    if (!this.#runs) return;
    this.#runs = false;
    for (const name of this.#signals) process.off(name, end);
    native.stopReapingOrphans();
    waiting.delete(0);
  };
}

function reapOrphans(options = {}) {
  const isInit = process.pid === 1;
  const { onOrphan, grace = 100, signals = isInit, subreaper = false } = checked.object('options', options);
  if (onOrphan !== undefined && typeof onOrphan !== 'function')
    throw invalid('onOrphan', onOrphan, 'a function');
  checked.milliseconds('grace', grace);
  checked.boolean('signals', signals);
  checked.boolean('subreaper', subreaper);

  const error = native.reapOrphans(onOrphan !== undefined, grace === 0 ? -1 : grace);
  if (error !== 0) throw systemError(error, 'reapOrphans', process.pid, reasons);
  if (onOrphan !== undefined) waiting.set(0, { exited: (exit) => onOrphan(exit) });
  const orphans = new Orphans(signals ? endingSignals : []);
  if (subreaper) {
    const refused = native.becomeSubreaper();
    if (refused !== 0) {
      orphans.stop();
      throw systemError(refused, 'reapOrphans', process.pid);
    }
  }
  return orphans;
}

module.exports = { reapOrphans };
