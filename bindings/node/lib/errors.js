// Errors as Node makes them: class, code, message and the other properties.
'use strict';

const { inspect } = require('node:util');

// What Node's own errors have between them and their class.
const prototypes = new Map([Error, RangeError, TypeError].map((Base) => [Base, Object.create(Base.prototype, {
  constructor: { value: Base, configurable: true, writable: true },
  toString: {
    value() {
      return `${this.name} [${this.code}]: ${this.message}`;
    },
    configurable: true, writable: true,
  },
})]));

// An Error of Node's own kind: its stack begins with "TypeError [ERR_…]: …".
function coded(Base, code, message) {
  const limit = Error.stackTraceLimit;
  Reflect.set(Error, 'stackTraceLimit', 0);
  const error = Object.setPrototypeOf(new Base(message), prototypes.get(Base));
  Reflect.set(Error, 'stackTraceLimit', limit);
  const { name } = error;
  Object.defineProperty(error, 'name', {
    value: `${name} [${code}]`, configurable: true, enumerable: false, writable: true,
  });
  Error.captureStackTrace(error, coded);
  void error.stack; // it is made when it is first asked for
  delete error.name;
  error.code = code;
  return error;
}

// "Received …", in Node's words.
function received(value) {
  if (value === null || value === undefined) {
    return `Received ${value}`;
  }
  if (typeof value === 'function') {
    return `Received function ${value.name}`;
  }
  if (typeof value === 'object') {
    return value.constructor?.name ? `Received an instance of ${value.constructor.name}` :
      `Received ${inspect(value, { depth: -1 })}`;
  }
  let shown = inspect(value, { colors: false });
  if (shown.length > 28) {
    shown = `${shown.slice(0, 25)}...`;
  }
  return `Received type ${typeof value} (${shown})`;
}

function nameOf(name) {
  if (name.endsWith(' argument')) {
    return `The ${name}`;
  }
  return `The "${name}" ${name.includes('.') ? 'property' : 'argument'}`;
}

function invalidType(name, expected, value) {
  return coded(TypeError, 'ERR_INVALID_ARG_TYPE', `${nameOf(name)} must be ${expected}. ${received(value)}`);
}

function invalidValue(name, value, reason = 'is invalid') {
  let shown = inspect(value);
  if (shown.length > 128) {
    shown = `${shown.slice(0, 128)}...`;
  }
  const kind = name.includes('.') ? 'property' : 'argument';
  return coded(TypeError, 'ERR_INVALID_ARG_VALUE', `The ${kind} '${name}' ${reason}. Received ${shown}`);
}

function grouped(digits) {
  return digits.replace(/\B(?=(\d{3})+$)/g, '_');
}

function outOfRange(name, range, value) {
  let shown;
  if (Number.isInteger(value) && Math.abs(value) > 2 ** 32) {
    shown = value < 0 ? `-${grouped(String(-value))}` : grouped(String(value));
  } else {
    shown = inspect(value);
  }
  return coded(RangeError, 'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be ${range}. Received ${shown}`);
}

function badPort(name, value) {
  return coded(RangeError, 'ERR_SOCKET_BAD_PORT',
    `${name} should be >= 0 and < 65536. ${received(value)}.`);
}

// The properties, in Node's order.
const ERROR = ['errno', 'code', 'syscall', 'address', 'port', 'localAddress', 'localPort'];
const LISTEN_ERROR = ['code', 'errno', 'syscall', 'address', 'port'];

// What the system, or the library, says: {errno, code, message, syscall, address, port, …}.
function fromNative(said, path) {
  if (said.errors !== undefined) {
    const errors = said.errors.map((one) => fromNative(one));
    const [{ code }] = errors;
    const aggregate = new AggregateError(errors);
    aggregate.stack = aggregate.stack.replace('AggregateError', `AggregateError [${code}]: `);
    aggregate.code = code;
    return aggregate;
  }
  if (said.code.startsWith('ERR_')) {
    const error = coded(Error, said.code, said.message);
    return error;
  }
  // The library writes @ for the first byte of an abstract path.
  const abstract = path?.startsWith('\0');
  const error = new Error(abstract ? said.message.replace(`@${path.slice(1)}`, path) : said.message + localOf(said));
  for (const name of said.syscall === 'listen' ? LISTEN_ERROR : ERROR) {
    if (said[name] !== undefined) {
      error[name] = said[name];
    }
  }
  if (abstract) {
    error.address = path;
  }
  return error;
}

// Of a socket that could not even be made Node's message has an address, too.
function localOf({ code, syscall, port }) {
  return syscall === 'connect' && port !== undefined && (code === 'EMFILE' || code === 'ENFILE') ? ' - Local (undefined:undefined)' : '';
}

// A plain one, as of a system call that failed at once.
function system(errno, code, syscall, message) {
  const error = new Error(message ?? `${syscall} ${code}`);
  error.errno = errno;
  error.code = code;
  error.syscall = syscall;
  return error;
}

// Node's own is not made in JavaScript, and has no code in its stack.
function invalidAddress() {
  const error = new Error('Invalid socket address');
  error.code = 'ERR_INVALID_ADDRESS';
  return error;
}

module.exports = { badPort, coded, fromNative, invalidAddress, invalidType, invalidValue, outOfRange, system };
