// Checks of arguments, with Node's codes and texts.
'use strict';

const { badPort, invalidType, outOfRange } = require('./errors');

function aString(value, name) {
  if (typeof value !== 'string') {
    throw invalidType(name, 'of type string', value);
  }
}

function aNumber(value, name) {
  if (typeof value !== 'number') {
    throw invalidType(name, 'of type number', value);
  }
}

function aBoolean(value, name) {
  if (typeof value !== 'boolean') {
    throw invalidType(name, 'of type boolean', value);
  }
}

function aFunction(value, name) {
  if (typeof value !== 'function') {
    throw invalidType(name, 'of type function', value);
  }
}

function anInteger(value, name, least, most) {
  aNumber(value, name);
  if (!Number.isInteger(value)) {
    throw outOfRange(name, 'an integer', value);
  }
  if (value < least || value > most) {
    throw outOfRange(name, `>= ${least} && <= ${most}`, value);
  }
}

// A port as a number; strings of digits (hexadecimal too) are fine.
function aPort(value, name = 'Port') {
  const number = typeof value === 'number' || (typeof value === 'string' && value.trim() !== '') ? +value : NaN;
  if (number !== number >>> 0 || number > 65535) {
    throw badPort(name, value);
  }
  return number;
}

const LONGEST_MS = 2 ** 31 - 1;

// Milliseconds of a timer.
function aDuration(value, name) {
  aNumber(value, name);
  if (value < 0 || !Number.isFinite(value)) {
    throw outOfRange(name, 'a non-negative finite number', value);
  }
  if (value > LONGEST_MS) {
    process.emitWarning(`${value} does not fit into a 32-bit signed integer.` +
      `\nTimer duration was truncated to ${LONGEST_MS}.`, 'TimeoutOverflowWarning');
    return LONGEST_MS;
  }
  return value;
}

function anAbortSignal(value, name) {
  if (value === null || typeof value !== 'object' || !('aborted' in value)) {
    throw invalidType(name, 'an instance of AbortSignal', value);
  }
}

module.exports = { LONGEST_MS, aBoolean, aDuration, aFunction, aNumber, aPort, aString, anAbortSignal, anInteger };
