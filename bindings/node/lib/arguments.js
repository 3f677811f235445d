// The forms in which connect() and listen() take their arguments.
'use strict';

const kNormalized = Symbol('normalizedArgs');

// A number that can be a port, or false.
function toNumber(value) {
  const number = Number(value);
  return number >= 0 ? number : false;
}

function isPath(value) {
  return typeof value === 'string' && toNumber(value) === false;
}

// (options[, callback]), (path[, …][, callback]), (port[, host][, …][, callback]): [options, callback
// or null].
function normalizeArgs(args) {
  let options = {};
  const [first, second] = args;
  if (args.length > 0) {
    if (typeof first === 'object' && first !== null) {
      options = first;
    } else if (isPath(first)) {
      options.path = first;
    } else {
      options.port = first;
      if (args.length > 1 && typeof second === 'string') {
        options.host = second;
      }
    }
  }
  const last = args.length > 0 ? args[args.length - 1] : undefined;
  const result = [options, typeof last === 'function' ? last : null];
  result[kNormalized] = true;
  return result;
}

// What was made so already, by net.connect().
function isNormalized(args) {
  return Array.isArray(args[0]) && args[0][kNormalized] === true;
}

module.exports = { isNormalized, isPath, normalize: normalizeArgs, toNumber };
