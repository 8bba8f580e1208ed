// What a caller passes, checked: each gives the value back, or throws EINVAL.
'use strict';
const { invalid } = require('./errors.js');

const longest = 2 ** 53 - 1;

function object(name, value) {
  if (typeof value !== 'object' || value === null) throw invalid(name, value, 'an object');
  return value;
}

// The kernel's largest pid is 4194304. No negative number and no 0 gets through: kill(2) takes them for
// groups.
function pid(value) {
  if (!Number.isInteger(value) || value <= 0 || value > 2 ** 31 - 1)
    throw invalid('pid', value, 'a whole number from 1 to 2147483647');
  return value;
}

function milliseconds(name, value) {
  if (!Number.isInteger(value) || value < 0 || value > longest) {
    throw invalid(name, value, 'a whole number of milliseconds, 0 or more');
  }
  return value;
}

function boolean(name, value) {
  if (typeof value !== 'boolean') throw invalid(name, value, 'true or false');
  return value;
}

function abortSignal(value) {
  if (value !== undefined && !(value instanceof AbortSignal))
    throw invalid('signal', value, 'an AbortSignal');
  return value;
}

function oneOf(name, value, words) {
  if (!words.includes(value)) throw invalid(name, value, `one of '${words.join("', '")}'`);
  return value;
}

// For execve(2), which ends a string at its first NUL.
function string(name, value) {
  if (typeof value !== 'string') throw invalid(name, value, 'a string');
  if (value.includes('\0')) throw invalid(name, value, 'a string without NUL');
  return value;
}

module.exports = { object, pid, milliseconds, boolean, abortSignal, oneOf, string };
