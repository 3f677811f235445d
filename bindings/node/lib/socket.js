// net.Socket: a stream over a socket of the library.
'use strict';

const dns = require('node:dns');
const fs = require('node:fs');
const { Duplex } = require('node:stream');
const { coded, fromNative, invalidType, invalidValue, system } = require('./errors');
const check = require('./validate');
const { normalize } = require('./arguments');
const defaults = require('./defaults');
const { Handle, native } = require('./native');

// A write that leaves less than this waiting is done as far as the stream is concerned; what the
// kernel takes at once of a connection of its own is more.
const AT_ONCE = 128 * 1024;
const END = Symbol('end');

const kArmed = Symbol('milliseconds of the idle timer, 0: off');
const kBytesRead = Symbol('bytes read');
const kDispatched = Symbol('bytes dispatched');
const kFinal = Symbol('callback of end');
const kIdle = Symbol('idle timer without a connection');
const kKeepAlive = Symbol('keep-alive');
const kKeepAliveDelay = Symbol('keep-alive delay');
const kNoDelay = Symbol('no delay');
const kOnread = Symbol('onread');
const kPending = Symbol('write before the connection');
const kReadWanted = Symbol('read before the connection');
const kReset = Symbol('reset');
const kServer = Symbol('server that counts it');
const kSeveral = Symbol('addresses that are tried');
const kUnref = Symbol('unref');
const kWritten = Symbol('callback of write');

function Socket(options) {
  if (!(this instanceof Socket)) {
    return new Socket(options);
  }
  if (options?.objectMode) {
    throw invalidValue('options.objectMode', options.objectMode, 'is not supported');
  } else if (options?.readableObjectMode || options?.writableObjectMode) {
    throw invalidValue(`options.${options.readableObjectMode ? 'readableObjectMode' : 'writableObjectMode'}`,
      options.readableObjectMode || options.writableObjectMode, 'is not supported');
  }
  if (options?.keepAliveInitialDelay !== undefined) {
    check.aNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay');
  }
  this.connecting = false;
  this._hadError = false;
  this._parent = null;
  this._host = null;
  this._handle = null;
  this._peername = undefined;
  this._sockname = undefined;
  this.server = null;
  this.timeout = undefined;
  this.autoSelectFamilyAttemptedAddresses = undefined;
  this[kArmed] = 0;
  this[kBytesRead] = 0;
  this[kDispatched] = 0;
  this[kWritten] = null;
  this[kFinal] = null;
  this[kPending] = null;
  this[kIdle] = undefined;
  this[kReadWanted] = false;
  this[kReset] = false;
  this[kServer] = null;
  this[kSeveral] = false;
  this[kUnref] = false;
  this[kOnread] = null;

  const given = typeof options === 'number' ? { fd: options } : { ...options };
  const { accepted, fd } = given;
  const adopted = accepted === undefined && fd !== undefined ? kindOfDescriptor(fd) : null;
  given.allowHalfOpen = Boolean(given.allowHalfOpen);
  given.emitClose = false;
  given.autoDestroy = true;
  given.decodeStrings = false;
  Duplex.call(this, given);

  this[kNoDelay] = Boolean(given.noDelay);
  this[kKeepAlive] = Boolean(given.keepAlive);
  this[kKeepAliveDelay] = Math.max(0, ~~(given.keepAliveInitialDelay / 1000));
  const { onread } = given;
  if (onread !== null && typeof onread === 'object' && typeof onread.callback === 'function' &&
      (typeof onread.buffer === 'function' || onread.buffer instanceof Uint8Array)) {
    const next = typeof onread.buffer === 'function' ? onread.buffer : null;
    this[kOnread] = { next, buffer: next === null ? onread.buffer : null, callback: onread.callback };
  }
  this.on('end', afterEnd);
  if (accepted !== undefined) {
    this._nextBuffer();
    this._handle = accepted;
    accepted.owner = this;
    accepted.limit = this._atOnce();
    if (given.pauseOnCreate) {
      accepted.paused = true;
      this.readableFlowing = false;
    } else if (!given.manualStart) {
      this.read(0);
    }
  } else if (adopted !== null) {
    this._adopt(fd, adopted, given);
  }
  if (this.destroyed) {
    this._undestroy(); // a signal that is aborted already: the error and the close are on their way
  }
}
Object.setPrototypeOf(Socket.prototype, Duplex.prototype);
Object.setPrototypeOf(Socket, Duplex);

// With allowHalfOpen false nothing can be written once the peer has ended and we have followed.
function afterEnd() {
  if (!this.allowHalfOpen) {
    this.write = writeAfterEnd;
  }
}

function writeAfterEnd(chunk, encoding, callback) {
  if (!this.writableEnded) {
    return Duplex.prototype.write.call(this, chunk, encoding, callback);
  }
  if (typeof encoding === 'function') {
    callback = encoding;
  }
  const error = new Error('This socket has been ended by the other party');
  error.code = 'EPIPE';
  if (typeof callback === 'function') {
    process.nextTick(callback, error);
  }
  // The end that this write came after may still be under way.
  if (this._server) {
    process.nextTick(() => this.destroy(error));
  } else {
    this.destroy(error);
  }
  return false;
}

// ---- Descriptors ----

function kindOfDescriptor(fd) {
  if (typeof fd !== 'number') {
    throw invalidType('fd', 'of type number', fd);
  }
  check.anInteger(fd, 'fd', 0, 2 ** 31 - 1);
  let stat;
  try {
    stat = fs.fstatSync(fd);
  } catch {
    throw coded(TypeError, 'ERR_INVALID_FD_TYPE', 'Unsupported fd type: UNKNOWN');
  }
  if (stat.isSocket()) {
    return 'socket';
  }
  if (stat.isFIFO()) {
    return 'pipe';
  }
  const type = stat.isFile() || stat.isCharacterDevice() ? 'FILE' : 'UNKNOWN';
  throw coded(TypeError, 'ERR_INVALID_FD_TYPE', `Unsupported fd type: ${type}`);
}

Socket.prototype._adopt = function(fd, kind, options) {
  const handle = new Handle(kind === 'pipe' ? 'TROUPEPIPE' : 'TROUPETCP', this);
  const readable = options.readable !== false;
  const writable = options.writable !== false;
  const index = native.socketAdopt(fd, readable, writable, this._nativeOptions());
  if (index < 0) {
    throw system(index, 'EINVAL', 'open', 'open EINVAL');
  }
  handle.open(index);
  this._nextBuffer();
  handle.isPipe = native.socketName(index, false) === undefined;
  this._handle = handle;
  handle.limit = this._atOnce();
  if (options.pauseOnCreate) {
    this._pauseNative(handle);
    this.readableFlowing = false;
  } else if (!options.manualStart && readable) {
    this.read(0);
  }
};

// ---- Connecting ----

Socket.prototype._nativeOptions = function() {
  return {
    highWaterMark: this._atOnce(),
    noDelay: this[kNoDelay],
    keepAlive: this[kKeepAlive],
    keepAliveDelay: this[kKeepAliveDelay] * 1000,
    timeout: this[kArmed],
  };
};

Socket.prototype._atOnce = function() {
  return Math.max(this.writableHighWaterMark, AT_ONCE);
};

// Makes it as if it had never been connected.
Socket.prototype._begin = function() {
  delete this.write;
  if (this.destroyed) {
    this._handle = null;
    this._peername = undefined;
    this._hadError = false;
    this[kReadWanted] = false;
  }
  if (this._handle === null) {
    this._undestroy();
    this._sockname = undefined;
    this[kBytesRead] = 0;
    this[kDispatched] = 0;
    this[kWritten] = null;
    this[kFinal] = null;
    this[kReset] = false;
  }
  this.autoSelectFamilyAttemptedAddresses = undefined;
  this[kSeveral] = false;
};

Socket.prototype.connect = function(...args) {
  const [options, callback] = normalize(args);
  if (options.port === undefined && (options.path === null || options.path === undefined)) {
    throw coded(TypeError, 'ERR_MISSING_ARGS', 'The "options" or "port" or "path" argument must be specified');
  }
  this._begin();
  const busy = this.connecting && this._handle !== null;
  const { path } = options;
  if (path) {
    check.aString(path, 'options.path');
  }
  if (this._handle === null) {
    this._handle = new Handle(path ? 'TROUPEPIPE' : 'TROUPETCP', this);
    this._handle.isPipe = Boolean(path);
    this._nextBuffer();
  }
  if (callback !== null) {
    this.once('connect', callback);
  }
  const before = this.connecting;
  this.connecting = true;
  try {
    if (busy) {
      process.nextTick(connectAgain, this, options);
    } else if (path) {
      this._connectTo(this._handle, { path }, path);
    } else {
      this._lookUp(options);
    }
  } catch (error) {
    this.connecting = before;
    throw error;
  }
  return this;
};

// A second connect() while the first goes on fails, and takes the first along.
function connectAgain(socket, options) {
  if (socket.connecting) {
    const host = options.path || `${options.host || 'localhost'}:${options.port}`;
    const error = system(-114, 'EALREADY', 'connect', `connect EALREADY ${host} - Local (undefined:undefined)`);
    error.address = options.path || options.host || 'localhost';
    if (options.port) {
      error.port = +options.port;
    }
    socket.destroy(error);
  }
}

function isIP(text) {
  return native.isIP(`${text}`);
}

function familyOfLookup(family) {
  return family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family;
}

Socket.prototype._lookUp = function(options) {
  const { localAddress, localPort, lookup } = options;
  const host = options.host || 'localhost';
  if (localAddress && !isIP(localAddress)) {
    throw coded(TypeError, 'ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${localAddress}`);
  }
  if (localPort) {
    check.aNumber(localPort, 'options.localPort');
  }
  let port = options.port;
  if (port !== undefined) {
    if (typeof port !== 'number' && typeof port !== 'string') {
      throw invalidType('options.port', 'one of type number or string', port);
    }
    port = check.aPort(port);
  }
  let { autoSelectFamily, autoSelectFamilyAttemptTimeout: attemptTimeout } = options;
  if (autoSelectFamily !== null && autoSelectFamily !== undefined) {
    check.aBoolean(autoSelectFamily, 'options.autoSelectFamily');
  } else {
    autoSelectFamily = defaults.autoSelectFamily;
  }
  if (attemptTimeout !== null && attemptTimeout !== undefined) {
    check.anInteger(attemptTimeout, 'options.autoSelectFamilyAttemptTimeout', 1, 2 ** 31 - 1);
    attemptTimeout = Math.max(attemptTimeout, 10);
  } else {
    attemptTimeout = defaults.attemptTimeout;
  }
  const to = { port, localAddress: localAddress || undefined, localPort: localPort || undefined };
  const handle = this._handle;
  if (isIP(host)) {
    process.nextTick(() => this._found(handle, null, { ...to, host }));
    return;
  }
  check.aString(host, 'hostname');
  if (lookup !== null && lookup !== undefined) {
    check.aFunction(lookup, 'options.lookup');
  }
  const question = { family: familyOfLookup(options.family), hints: options.hints || 0 };
  if (question.family !== 4 && question.family !== 6 && question.hints === 0) {
    question.hints = dns.ADDRCONFIG;
  }
  this._host = host;
  const ask = lookup ?? dns.lookup;
  const several = autoSelectFamily && question.family !== 4 && question.family !== 6 && !localAddress;
  if (several) {
    question.all = true;
    ask(host, question, (error, addresses) => {
      if (this._handle === handle && this.connecting) {
        this._foundAll(handle, error, addresses, { ...to, host, attemptTimeout }, options);
      }
    });
  } else {
    ask(host, question, (error, address, family) => {
      if (this._handle === handle && this.connecting) {
        this.emit('lookup', error, address, family, host);
        this._found(handle, error ?? wrongAddress(address, family, host, options.port), { ...to, host: address });
      }
    });
  }
};

function wrongAddress(address, family, host, port) {
  if (!isIP(address)) {
    return coded(TypeError, 'ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${address}`);
  }
  if (family !== 4 && family !== 6) {
    const error = coded(RangeError, 'ERR_INVALID_ADDRESS_FAMILY', `Invalid address family: ${family} ${host}:${port}`);
    error.host = host;
    error.port = port;
    return error;
  }
  return null;
}

Socket.prototype._found = function(handle, error, to) {
  if (!this.connecting || this._handle !== handle) {
    return;
  }
  if (error) {
    process.nextTick(failConnect, this, handle, error);
    return;
  }
  this._connectTo(handle, to, to.host);
};

function failConnect(socket, handle, error) {
  if (socket.connecting && socket._handle === handle) {
    socket.destroy(error);
  }
}

// What a look-up of all addresses says: those that can be used, each once.
Socket.prototype._foundAll = function(handle, error, addresses, to, options) {
  const { host } = to;
  if (error) {
    this.emit('lookup', error, undefined, undefined, host);
    this._found(handle, error, to);
    return;
  }
  const usable = [];
  for (const { address, family } of addresses) {
    this.emit('lookup', null, address, family, host);
    if (!this.connecting || this._handle !== handle) {
      return;
    }
    if (isIP(address) && (family === 4 || family === 6) && !usable.includes(address)) {
      usable.push(address);
    }
  }
  if (usable.length === 0) {
    const [first] = addresses;
    const wrong = first === undefined ? notFound(host) :
      wrongAddress(first.address, first.family, options.host || host, options.port);
    this._found(handle, wrong, to);
  } else if (usable.length === 1) {
    this._found(handle, null, { ...to, host: usable[0] });
  } else {
    this[kSeveral] = true;
    this.autoSelectFamilyAttemptedAddresses = [];
    this._found(handle, null, { ...to, addresses: usable });
  }
};

function notFound(host) {
  const error = system(-3008, 'ENOTFOUND', 'getaddrinfo', `getaddrinfo ENOTFOUND ${host}`);
  error.hostname = host;
  return error;
}

// From here on the library does it, and tells of each attempt.
Socket.prototype._connectTo = function(handle, to, name) {
  clearTimeout(this[kIdle]);
  // The first attempt is told here, as Node does: inside the call, if nothing had to be waited for. With an address of its
  // own to bind to, which may fail before, by the library.
  const first = to.path ?? (to.addresses === undefined ? to.host : to.addresses[0]);
  handle.bound = to.localAddress !== undefined || to.localPort !== undefined;
  if (!handle.bound) {
    handle.attempted = true;
    handle.trying = first;
    handle.first = { address: first, port: to.port };
    if (this[kSeveral]) {
      this.autoSelectFamilyAttemptedAddresses.push(`${first}:${to.port}`);
    }
    this.emit('connectionAttempt', first, ...(to.path === undefined ? [to.port, isIP(first)] : [undefined, undefined]));
    if (!this.connecting || this._handle !== handle) {
      return;
    }
  }
  let result = native.socketNew(this._nativeOptions());
  if (result >= 0) {
    handle.open(result);
    if (this[kUnref]) {
      native.socketUnref(result);
    }
    result = native.socketConnect(result, to);
  }
  if (result < 0) {
    const known = require('node:util').getSystemErrorMap().get(result);
    const code = known === undefined ? 'EINVAL' : known[0];
    process.nextTick(failConnect, this, handle, system(result, code, 'connect', `connect ${code} ${name}`));
  }
};

Socket.prototype._onAttempt = function(handle, event, said) {
  const [address, port, family, error] = said;
  if (event === 'connectionAttempt' && handle.attempted) {
    handle.attempted = false;
    return;
  }
  // Of a destroyed socket only that the attempt that was told is cancelled; the library may have begun another meanwhile.
  if (this.destroyed && (error?.code !== 'ECANCELED' || handle.trying !== address)) {
    return;
  }
  handle.trying = event === 'connectionAttempt' ? address : null;
  if (failedAtOnce(handle, error) && !this[kSeveral]) {
    return;
  }
  if (event === 'connectionAttempt' && this[kSeveral]) {
    this.autoSelectFamilyAttemptedAddresses.push(`${address}:${port}`);
  }
  if (family === 1) {
    this.emit(event, address, undefined, undefined, ...(error === undefined ? [] : [fromNative(error)]));
  } else {
    this.emit(event, address, port, family, ...(error === undefined ? [] : [fromNative(error)]));
  }
};

// The system refused before there was an attempt: Node has the local address in the message alone then.
function failedAtOnce(handle, said) {
  return said !== undefined && said.localAddress !== undefined && !handle.bound;
}

Socket.prototype._onConnect = function(handle) {
  if (this._handle !== handle) {
    return;
  }
  this.connecting = false;
  this._sockname = undefined;
  handle.limit = this._atOnce();
  if (this[kReset]) {
    this.once('connect', () => this.destroy());
  }
  this.emit('connect');
  this.emit('ready');
  if (this._handle !== handle) {
    return;
  }
  if (this.isPaused()) {
    if (!handle.reading) {
      this._pauseNative(handle);
    }
  } else if (this.readable) {
    this.read(0);
  }
  if (this[kReadWanted]) {
    this[kReadWanted] = false;
    this._read();
  }
};

// ---- Reading ----

Socket.prototype._pauseNative = function(handle) {
  if (!handle.paused) {
    handle.paused = true;
    native.socketPause(handle.index);
  }
};

Socket.prototype._stopReading = function(handle) {
  handle.reading = false;
  this._pauseNative(handle);
};

Socket.prototype._startReading = function(handle) {
  handle.reading = true;
  if (this[kOnread] !== null && handle.backlog !== null) {
    setImmediate(takeBacklog, this, handle); // not inside the call that asks for it
  } else {
    this._takeBacklog(handle);
  }
};

function takeBacklog(socket, handle) {
  if (socket._handle === handle && handle.reading) {
    socket._takeBacklog(handle);
  }
}

// What came while nobody wanted it; then more.
Socket.prototype._takeBacklog = function(handle) {
  const { backlog } = handle;
  if (backlog !== null) {
    handle.backlog = null;
    for (let i = 0; i < backlog.length; i++) {
      if (!handle.reading) {
        handle.backlog = backlog.slice(i).concat(handle.backlog ?? []);
        return;
      }
      if (backlog[i] === END) {
        this._takeEnd();
      } else {
        this._takeData(handle, backlog[i]);
      }
    }
  }
  if (handle.reading && handle.paused) {
    handle.paused = false;
    native.socketResume(handle.index);
  }
};

Socket.prototype._read = function() {
  const handle = this._handle;
  if (handle === null || this.connecting) {
    this[kReadWanted] = true;
  } else if (!handle.reading) {
    this._startReading(handle);
  }
};

function keep(handle, what) {
  if (handle.backlog === null) {
    handle.backlog = [what];
  } else {
    handle.backlog.push(what);
  }
}

Socket.prototype._onData = function(handle, buffer) {
  if (this._handle !== handle) {
    return;
  }
  if (handle.reading && handle.backlog === null) {
    this._takeData(handle, buffer);
  } else {
    keep(handle, buffer);
    if (!this.connecting && !handle.reading) {
      this._pauseNative(handle);
    }
  }
};

Socket.prototype._takeData = function(handle, buffer) {
  if (this[kOnread] !== null) {
    this._fill(handle, buffer);
    return;
  }
  this[kBytesRead] += buffer.length;
  if (!this.push(buffer) && this._handle === handle) {
    this._stopReading(handle);
  }
};

// A function gives the buffer for what comes next.
Socket.prototype._nextBuffer = function() {
  const onread = this[kOnread];
  if (onread !== null && onread.next !== null) {
    onread.buffer = onread.next();
  }
};

// Into the buffers of the `onread` option.
Socket.prototype._fill = function(handle, bytes) {
  const onread = this[kOnread];
  let at = 0;
  while (at < bytes.length) {
    const { buffer } = onread;
    const length = Math.min(bytes.length - at, buffer.length);
    bytes.copy(buffer, 0, at, at + length);
    at += length;
    this[kBytesRead] += length;
    const goOn = Reflect.apply(onread.callback, this, [length, buffer]);
    if (this._handle !== handle) {
      return;
    }
    this._nextBuffer();
    if (goOn === false) {
      handle.reading = false;
    }
    if (!handle.reading) {
      if (at < bytes.length) {
        handle.backlog = [bytes.subarray(at), ...(handle.backlog ?? [])];
      }
      this._pauseNative(handle);
      return;
    }
  }
};

Socket.prototype._onEnd = function(handle) {
  if (this._handle !== handle) {
    return;
  }
  handle.limit = 0; // whether anybody takes what is written is now uncertain: wait for it
  if (handle.reading && handle.backlog === null) {
    this._takeEnd();
  } else {
    keep(handle, END);
  }
};

Socket.prototype._takeEnd = function() {
  this.push(null);
  this.read(0);
};

Socket.prototype.pause = function() {
  if (this[kOnread] !== null && !this.connecting && this._handle?.reading) {
    this._stopReading(this._handle);
  }
  return Duplex.prototype.pause.call(this);
};

Socket.prototype.resume = function() {
  if (this[kOnread] !== null && !this.connecting && this._handle !== null && !this._handle.reading) {
    this._startReading(this._handle);
  }
  return Duplex.prototype.resume.call(this);
};

Socket.prototype.read = function(n) {
  if (this[kOnread] !== null && !this.connecting && this._handle !== null && !this._handle.reading) {
    this._startReading(this._handle);
  }
  return Duplex.prototype.read.call(this, n);
};

// ---- Writing ----

Socket.prototype._write = function(chunk, encoding, callback) {
  this._dispatch(this._handle, chunk, encoding, callback);
};

Socket.prototype._writev = function(chunks, callback) {
  const bytes = chunks.map(({ chunk, encoding }) => bytesOf(chunk, encoding));
  this._dispatch(this._handle, bytes.length === 1 ? bytes[0] : Buffer.concat(bytes), 'buffer', callback);
};

function bytesOf(chunk, encoding) {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
}

Socket.prototype._dispatch = function(handle, data, encoding, callback) {
  if (this.connecting) {
    this._dispatchLater({ data, encoding, callback });
    return;
  }
  if (handle === null) {
    callback(coded(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed'));
    return;
  }
  const bytes = bytesOf(data, encoding);
  this[kDispatched] += bytes.length;
  if (native.socketWrite(handle.index, bytes, handle.limit) === 1) {
    callback();
  } else {
    // Done when the kernel has it; when it failed an error follows, or the close.
    this[kWritten] = callback;
  }
};

// The first write waits for the connection; the stream keeps the others.
Socket.prototype._dispatchLater = function(pending) {
  const connected = () => {
    this.off('close', closed);
    this[kPending] = null;
    this._dispatch(this._handle, pending.data, pending.encoding, pending.callback);
  };
  const closed = () => {
    this.off('connect', connected);
    this[kPending] = null;
    pending.callback(coded(Error, 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION',
      'Socket closed before the connection was established'));
  };
  this[kPending] = pending;
  this.once('connect', connected);
  this.once('close', closed);
};

Socket.prototype._onWritten = function(handle, error) {
  const callback = this[kWritten];
  if (callback !== null && error === 0) {
    this[kWritten] = null;
    callback(null);
  }
};

Socket.prototype._final = function(callback) {
  if (this.pending) {
    this.once('connect', () => this._final(callback));
    return;
  }
  this[kFinal] = callback;
  if (native.socketEnd(this._handle.index) < 0) {
    this[kFinal] = null;
    callback();
  }
};

Socket.prototype._onFinished = function(handle, error) {
  const callback = this[kFinal];
  if (callback !== null && error === 0) {
    this[kFinal] = null;
    callback();
  }
};

Socket.prototype.end = function(data, encoding, callback) {
  Duplex.prototype.end.call(this, data, encoding, callback);
  return this;
};

// ---- Errors and the end ----

Socket.prototype._onError = function(handle, said) {
  if (this._handle !== handle) {
    return;
  }
  if (failedAtOnce(handle, said)) {
    delete said.localAddress;
    delete said.localPort;
  }
  const error = fromNative(said);
  const written = this[kWritten];
  if (written !== null && error.syscall === 'write') {
    this[kWritten] = null;
    written(error);
  }
  this.destroy(error);
};

Socket.prototype._destroy = function(error, callback) {
  this.connecting = false;
  this._hadError = Boolean(error);
  this[kArmed] = 0;
  clearTimeout(this[kIdle]);
  const handle = this._handle;
  this._handle = null;
  this._sockname = undefined;
  if (handle === null) {
    callback(error);
    process.nextTick(closeWithoutHandle, this);
  } else {
    handle.backlog = null;
    handle.reading = false;
    if (handle.index < 0) {
      setImmediate(() => this._onClose(handle));
    } else if (handle.closed) {
      setImmediate(() => this._onClose(handle));
    } else if (this[kReset]) {
      native.socketReset(handle.index);
    } else {
      native.socketDestroy(handle.index);
    }
    callback(error);
  }
  const server = this[kServer];
  if (server !== null) {
    this[kServer] = null;
    server._connections--;
    server._emitCloseIfDrained();
  }
};

function closeWithoutHandle(socket) {
  socket.emit('close');
}

Socket.prototype._onClose = function(handle) {
  handle.closed = true;
  if (this._handle === handle) {
    return; // what came before has not been read yet; destroy() follows
  }
  const { index } = handle;
  if (index >= 0) {
    handle.forget();
    native.socketFree(index);
  }
  if (handle.attempted && this[kSeveral]) {
    this._cancelAttempt(handle);
  }
  const written = this[kWritten];
  this[kWritten] = null;
  if (written !== null) {
    written(null);
  }
  this.emit('close', this._hadError);
};

// The first of several attempts was told, and the library had not begun it.
Socket.prototype._cancelAttempt = function(handle) {
  handle.attempted = false;
  const { address, port } = handle.first;
  const error = system(-125, 'ECANCELED', 'connect', `connect ECANCELED ${address}:${port}`);
  error.address = address;
  error.port = port;
  this.emit('connectionAttemptFailed', address, port, isIP(address), error);
};

Socket.prototype.destroySoon = function() {
  if (this.writable) {
    this.end();
  }
  if (this.writableFinished) {
    this.destroy();
  } else {
    this.once('finish', this.destroy);
  }
};

Socket.prototype.resetAndDestroy = function() {
  const handle = this._handle;
  if (handle === null) {
    this.destroy(coded(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed'));
    return this;
  }
  if (handle.isPipe) {
    throw coded(TypeError, 'ERR_INVALID_HANDLE_TYPE', 'This handle type cannot be sent');
  }
  this[kReset] = true;
  if (!this.connecting) {
    this.destroy();
  }
  return this;
};

// ---- Options of a connection ----

Socket.prototype.setNoDelay = function(enable) {
  const wanted = Boolean(enable === undefined ? true : enable);
  if (wanted !== this[kNoDelay]) {
    this[kNoDelay] = wanted;
    if (this._handle !== null && this._handle.index >= 0) {
      native.socketNoDelay(this._handle.index, wanted ? 1 : 0);
    }
  }
  return this;
};

Socket.prototype.setKeepAlive = function(enable, initialDelay) {
  const wanted = Boolean(enable);
  const delay = Math.max(0, ~~(initialDelay / 1000));
  if (wanted !== this[kKeepAlive] || (wanted && delay !== this[kKeepAliveDelay])) {
    this[kKeepAlive] = wanted;
    this[kKeepAliveDelay] = delay;
    if (this._handle !== null && this._handle.index >= 0) {
      native.socketKeepAlive(this._handle.index, wanted ? 1 : 0, delay * 1000);
    }
  }
  return this;
};

function wholeMilliseconds(duration) {
  return Math.min(check.LONGEST_MS, Math.max(1, Math.trunc(duration)));
}

Socket.prototype.setTimeout = function(duration, callback) {
  if (this.destroyed) {
    return this;
  }
  this.timeout = duration;
  const ms = check.aDuration(duration, 'msecs');
  if (callback !== undefined) {
    check.aFunction(callback, 'callback');
  }
  clearTimeout(this[kIdle]);
  if (callback !== undefined) {
    if (ms === 0) {
      this.removeListener('timeout', callback);
    } else {
      this.once('timeout', callback);
    }
  }
  const index = this._handle === null ? -1 : this._handle.index;
  this[kArmed] = ms === 0 ? 0 : wholeMilliseconds(ms);
  if (index >= 0) {
    native.socketTimeout(index, this[kArmed]);
  } else if (ms > 0) {
    // The library knows nothing of it before it connects.
    this[kIdle] = setTimeout(() => this._onTimeout(), ms).unref();
  }
  return this;
};

Socket.prototype._onTimeout = function() {
  if (!this.destroyed) {
    this.emit('timeout');
  }
};

Socket.prototype.ref = function() {
  this[kUnref] = false;
  if (this._handle !== null && this._handle.index >= 0) {
    native.socketRef(this._handle.index);
  }
  return this;
};

Socket.prototype.unref = function() {
  this[kUnref] = true;
  if (this._handle !== null && this._handle.index >= 0) {
    native.socketUnref(this._handle.index);
  }
  return this;
};

// ---- Properties ----

function nameOf(handle, remote) {
  const name = handle.index < 0 ? undefined : native.socketName(handle.index, remote);
  return name === undefined ? {} :
    { address: name[0], family: `IPv${name[2]}`, port: name[1] };
}

Socket.prototype._getpeername = function() {
  if (this._handle === null || this.connecting) {
    return this._peername ?? {};
  }
  this._peername ??= nameOf(this._handle, true);
  return this._peername;
};

Socket.prototype._getsockname = function() {
  if (this._handle === null) {
    return {};
  }
  this._sockname ??= nameOf(this._handle, false);
  return this._sockname;
};

Socket.prototype.address = function() {
  return this._getsockname();
};

function getter(name, get) {
  Object.defineProperty(Socket.prototype, name, { get, configurable: false, enumerable: true });
}

getter('remoteAddress', function() {
  return this._getpeername().address;
});
getter('remoteFamily', function() {
  return this._getpeername().family;
});
getter('remotePort', function() {
  return this._getpeername().port;
});
getter('localAddress', function() {
  return this._getsockname().address;
});
getter('localPort', function() {
  return this._getsockname().port;
});
getter('localFamily', function() {
  return this._getsockname().family;
});
getter('_connecting', function() {
  return this.connecting;
});
getter('pending', function() {
  return this._handle === null || this.connecting;
});
getter('readyState', function() {
  if (this.connecting) {
    return 'opening';
  }
  if (this.readable) {
    return this.writable ? 'open' : 'readOnly';
  }
  return this.writable ? 'writeOnly' : 'closed';
});
getter('bufferSize', function() {
  return this._handle === null ? undefined : this.writableLength;
});
getter('bytesRead', function() {
  return this[kBytesRead];
});
getter('_bytesDispatched', function() {
  return this[kDispatched];
});
getter('bytesWritten', function() {
  let bytes = this[kDispatched];
  const state = this._writableState;
  if (!state) {
    return undefined;
  }
  for (const { chunk, encoding } of state.getBuffer()) {
    bytes += lengthOf(chunk, encoding);
  }
  const pending = this[kPending];
  if (pending !== null) {
    bytes += lengthOf(pending.data, pending.encoding);
  }
  return bytes;
});

function lengthOf(chunk, encoding) {
  return typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length;
}

module.exports = { Socket, isIP, kServer };
