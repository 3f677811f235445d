// connect(), and what comes of it.
'use strict';

const { getSystemErrorMap } = require('node:util');
const { coded, system } = require('../errors');
const check = require('../validate');
const { isNormalized, normalize } = require('../arguments');
const { handleFor } = require('../handle');
const { native } = require('../native');
const observing = require('../observing');
const { onAttempt, tellFirst } = require('./attempts');
const { lookUp } = require('./lookup');
const { atOnce, nativeOptions } = require('./options');
const { settle } = require('./holding');
const { nextBuffer, pauseNative } = require('./reading');
const { methods: { write } } = require('./writing');
const {
  kAwaited, kBytesRead, kDispatched, kFinal, kIdle, kPending, kReadWanted, kReset, kSentTo, kSeveral, kWritten, restore,
} = require('./symbols');

// Makes it as if it had never been connected.
function begin(socket) {
  if (socket.write !== write) {
    socket.write = write; // Node undoes here what it does when both sides have ended, and so what a class does with write()
  }
  if (socket.destroyed) {
    socket._handle = null;
    socket._peername = undefined;
    socket._hadError = false;
    restore(socket, kReadWanted);
  }
  if (socket._handle === null) {
    socket._undestroy();
    socket._sockname = undefined;
    socket[kBytesRead] = 0;
    socket[kDispatched] = 0;
    restore(socket, kPending, kAwaited, kSentTo, kWritten, kFinal, kReset);
  }
  delete socket.autoSelectFamilyAttemptedAddresses;
  restore(socket, kSeveral);
}

// Socket.prototype.connect
function makeConnect(listeners) {
  return function connect(...args) {
    const [options, callback] = isNormalized(args) ? args[0] : normalize(args);
    if (options.port === undefined && (options.path === null || options.path === undefined)) {
      throw coded(TypeError, 'ERR_MISSING_ARGS', 'The "options" or "port" or "path" argument must be specified');
    }
    begin(this);
    const busy = this.connecting && this._handle !== null;
    const { path } = options;
    if (path) {
      check.aString(path, 'options.path');
    }
    const fresh = this._handle === null;
    if (fresh) {
      this._handle = handleFor(Boolean(path), this, listeners);
      nextBuffer(this);
    }
    if (callback !== null) {
      this.once('connect', callback);
    }
    const before = this.connecting;
    this.connecting = true;
    try {
      if (busy && path) {
        process.nextTick(connectAgain, this, this._handle, null, { path });
      } else if (busy) {
        lookUp(this, this._handle, options, connectAgain);
      } else if (path) {
        this._handle.path = path;
        connectTo(this, this._handle, { path });
      } else {
        lookUp(this, this._handle, options, found);
      }
    } catch (error) {
      this.connecting = before;
      if (fresh) {
        this._handle = null;
      }
      throw error;
    }
    return this;
  };
}

// A second connect() while the first goes on fails, and takes the first along.
function connectAgain(socket, handle, error, to) {
  if (!socket.connecting || socket._handle !== handle) {
    return;
  }
  socket.destroy(error ?? refusal(socket, to));
}

function refusal(socket, { path, host, addresses, port, localAddress, localPort }) {
  const address = path ?? addresses?.[0] ?? host;
  if (localAddress !== undefined || localPort !== undefined) {
    return bindError(-22, 'EINVAL', localAddress ?? anyOf(address), localPort); // it has an address already
  }
  if (!path) {
    socket.emit('connectionAttempt', address, port, native.isIP(address));
  }
  return withAddress(system(-114, 'EALREADY', 'connect',
    `connect EALREADY ${path ?? `${address}:${port}`} - Local (undefined:undefined)`), address, port);
}

function bindError(errno, code, address, port) {
  return withAddress(system(errno, code, 'bind', `bind ${code} ${address}${port > 0 ? `:${port}` : ''}`), address, port);
}

function anyOf(address) {
  return native.isIP(address) === 6 ? '::' : '0.0.0.0';
}

function withAddress(error, address, port) {
  error.address = address;
  if (port) {
    error.port = port;
  }
  return error;
}

function found(socket, handle, error, to) {
  if (!socket.connecting || socket._handle !== handle) {
    return;
  }
  if (error) {
    process.nextTick(fail, socket, handle, error);
  } else {
    connectTo(socket, handle, to);
  }
}

function fail(socket, handle, error) {
  if (socket.connecting && socket._handle === handle) {
    socket.destroy(error);
  }
}

// From here on the library does it, and tells of each attempt.
function connectTo(socket, handle, to) {
  if (handle.index >= 0) {
    setImmediate(onConnect, socket, handle); // it is connected, and stays so
    return;
  }
  clearTimeout(socket[kIdle]);
  // The system takes 16 bits of it; that it was more is noticed when the socket has another one then.
  const bits = to.localPort & 0xffff;
  if (to.localPort > 0 && bits !== to.localPort) {
    const address = to.localAddress ?? anyOf(to.addresses?.[0] ?? to.host);
    const wrong = native.isIP(address) !== native.isIP(to.addresses?.[0] ?? to.host);
    process.nextTick(fail, socket, handle, bindError(wrong ? -22 : -98, wrong ? 'EINVAL' : 'EADDRINUSE', address, to.localPort));
    return;
  }
  handle.given = to.path ?? (to.addresses === undefined ? to.host : undefined);
  handle.bound = to.localPort !== undefined;
  // With an address of its own to bind to, which may fail before, the library tells of the first one too.
  if (!handle.bound && to.localAddress === undefined) {
    tellFirst(socket, handle, handle.given ?? to.addresses[0], to.port, to.family);
    if (!socket.connecting || socket._handle !== handle) {
      return;
    }
  }
  if (to.family !== undefined && to.family !== native.isIP(to.host)) {
    process.nextTick(fail, socket, handle, withAddress(
      system(-22, 'EINVAL', 'connect', `connect EINVAL ${to.host}:${to.port} - Local (undefined:undefined)`), to.host, to.port));
    return;
  }
  if (observing.isObserved() && !handle.isPipe) {
    handle.started = performance.now();
  }
  handle.beginRequest();
  handle.paused = socket.isPaused(); // not a byte is read then, and it does not hold the loop
  let result = native.socketNew({ ...nativeOptions(socket), paused: handle.paused });
  if (result >= 0) {
    handle.open(result);
    result = native.socketConnect(result, to.localPort === undefined ? to : { ...to, localPort: bits });
  }
  if (result < 0) {
    const [code] = getSystemErrorMap().get(result) ?? ['EINVAL'];
    process.nextTick(fail, socket, handle, system(result, code, 'connect', `connect ${code} ${to.path ?? to.host}`));
  }
}

function onConnect(socket, handle) {
  if (socket._handle !== handle) {
    return;
  }
  socket.connecting = false;
  handle.trying = null;
  socket._sockname = undefined;
  handle.limit = atOnce(socket);
  if (handle.started > 0) {
    observing.connected(socket.remoteAddress, socket.remotePort, handle.started);
  }
  if (socket[kReset]) {
    socket.once('connect', () => socket.destroy());
  }
  socket.emit('connect');
  socket.emit('ready');
  if (socket._handle !== handle) {
    return;
  }
  if (socket.isPaused()) {
    if (!handle.reading) {
      pauseNative(socket, handle);
    }
  } else {
    socket.read(0);
  }
  settle(socket, handle);
  if (socket[kReadWanted]) {
    socket[kReadWanted] = false;
    socket._read();
  }
}

module.exports = { makeConnect, onAttempt, onConnect };
