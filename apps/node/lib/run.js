'use strict';
const { Buffer, constants } = require('buffer');
const net = require('net');
const { fileURLToPath } = require('url');

const checked = require('./checked.js');
const { invalid, systemError, AbortError } = require('./errors.js');
const { native, waiting, newId } = require('./native.js');

function argvOf(command) {
  if (typeof command === 'string') return ['/bin/sh', '-c', checked.string('command', command)];
  if (!Array.isArray(command) || command.length === 0) {
    throw invalid('command', command, 'a line for the shell, or an array of the program and its arguments');
  }
  return Array.from(command, (word, i) => checked.string(`command[${i}]`, word)); // holes too
}

// "NAME=value" each. In a worker process.env is a copy, so the environment is never left to the C library.
function environmentOf(env) {
  return Object.entries(checked.object('env', env))
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      if (name === '' || name.includes('='))
        throw invalid('env', name, "names that are not empty and have no '='");
      return checked.string(`env.${name}`, `${name}=${value}`);
    });
}

// A copy, since it is written later.
function bytesOf(input) {
  if (typeof input === 'string') return Buffer.from(input);
  if (ArrayBuffer.isView(input)) return Buffer.from(new Uint8Array(input.buffer, input.byteOffset, input.byteLength));
  throw invalid('input', input, 'a string, a Buffer, a TypedArray or a DataView');
}

function limitOf(maxBuffer) {
  if (typeof maxBuffer !== 'number' || !(maxBuffer >= 0))
    throw invalid('maxBuffer', maxBuffer, '0 or more bytes');
  return Math.min(Math.floor(maxBuffer), constants.MAX_LENGTH);
}

// What the child does not read is no error: it may have ended, or closed its input.
function write(descriptor, bytes) {
  const pipe = new net.Socket({ fd: descriptor, readable: false, writable: true });
  pipe.on('error', () => {});
  pipe.end(bytes);
}

const cutBy = ({ cutByLimit, cutByTime }) => (cutByLimit ? 'maxBuffer' : cutByTime ? 'drain' : false);

function resultOf(exit, encoding) {
  const { stdout, stderr, ...how } = exit;
  const decoded = ({ bytes }) => (encoding === 'buffer' || bytes === null ? bytes : bytes.toString(encoding));
  return {
    ...how,
    stdout: decoded(stdout),
    stderr: decoded(stderr),
    stdoutTruncated: cutBy(stdout),
    stderrTruncated: cutBy(stderr),
  };
}

async function run(command, options = {}) {
  const argv = argvOf(command);
  const {
    cwd,
    env = process.env,
    input,
    stdin = input === undefined ? 'ignore' : 'pipe',
    stdout = 'pipe',
    stderr = 'pipe',
    encoding = 'utf8',
    maxBuffer = 1024 * 1024,
    drain = 1000,
    group = false,
    timeout = 0,
    grace = 5000,
    signal,
  } = checked.object('options', options);
  const bytes = input === undefined ? undefined : bytesOf(input);
  if (bytes === undefined) checked.oneOf('stdin', stdin, ['ignore', 'inherit']);
  else if (stdin !== 'pipe') throw invalid('stdin', stdin, "left out, or 'pipe', where there is an input");
  if (encoding !== 'buffer' && !Buffer.isEncoding(encoding))
    throw invalid('encoding', encoding, "an encoding, or 'buffer'");
  const what = {
    argv,
    environment: environmentOf(env),
    cwd: cwd === undefined ? undefined : checked.string('cwd', cwd instanceof URL ? fileURLToPath(cwd) : cwd),
    stdin,
    stdout: checked.oneOf('stdout', stdout, ['pipe', 'ignore', 'inherit']),
    stderr: checked.oneOf('stderr', stderr, ['pipe', 'ignore', 'inherit']),
    maxBuffer: limitOf(maxBuffer),
    drain: checked.milliseconds('drain', drain),
    group: checked.boolean('group', group),
  };
  checked.milliseconds('timeout', timeout);
  checked.milliseconds('grace', grace);
  checked.abortSignal(signal);
  if (signal?.aborted) throw new AbortError(signal);

  const id = newId();
  const subject = what.cwd === undefined ? argv : { argv, cwd: what.cwd }; // either may be what is not there
  const error = native.spawn(id, what, timeout, grace);
  if (error !== 0) throw systemError(error, 'run', subject);
  return new Promise((resolve, reject) => {
    let child; // its pid, from its start on
    const abort = () => child !== undefined && native.terminate(child, grace);
    signal?.addEventListener('abort', abort, { once: true });
    waiting.set(id, {
      started(failure, pid, descriptor) {
        if (failure !== 0) {
          signal?.removeEventListener('abort', abort);
          return reject(systemError(failure, 'run', subject));
        }
        child = pid;
        if (signal?.aborted) abort();
        if (bytes !== undefined) write(descriptor, bytes);
      },
      exited(exit) {
        signal?.removeEventListener('abort', abort);
        if (signal?.aborted) return reject(new AbortError(signal));
        try {
          resolve(resultOf(exit, encoding));
        } catch (error) {
          reject(error); // ERR_STRING_TOO_LONG: more than a string can hold, where a Buffer could
        }
      },
    });
  });
}

module.exports = { run };
