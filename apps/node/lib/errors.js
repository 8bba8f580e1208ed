// Every error is an Error with a `code` ('ESRCH', 'EINVAL', ...) and a message that names the value.
'use strict';
const os = require('os');
const util = require('util');

const shown = (value) => util.inspect(value, { depth: 1, maxStringLength: 100, maxArrayLength: 3 });

// Of a call that answered UV_E*, as Node's own system errors are. reasons: what some codes mean there.
function systemError(errno, syscall, subject, reasons = {}) {
  const [code, text] = util.getSystemErrorMap().get(errno);
  const error = new Error(`${code}: ${reasons[code] ?? text}, ${syscall} ${shown(subject)}`);
  return Object.assign(error, { errno, code, syscall });
}

function invalid(name, value, wanted) {
  return Object.assign(new TypeError(`EINVAL: ${name} must be ${wanted}, and is ${shown(value)}`), {
    errno: -os.constants.errno.EINVAL,
    code: 'EINVAL',
  });
}

// As Node's own, which it does not export.
class AbortError extends Error {
  constructor(signal) {
    super('The operation was aborted', { cause: signal.reason });
    this.name = 'AbortError';
    this.code = 'ABORT_ERR';
  }
}

module.exports = { systemError, invalid, AbortError };
