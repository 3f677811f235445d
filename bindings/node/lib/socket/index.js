// net.Socket: a stream over a socket of the library.
'use strict';

const net = require('../node_net');
const { Duplex } = require('node:stream');
const { invalidValue } = require('../errors');
const check = require('../validate');
const { adopt, kindOfDescriptor } = require('./descriptor');
const { Handle } = require('../handle');
const connecting = require('./connecting');
const ending = require('./ending');
const { settle } = require('./holding');
const { atOnce, methods: options, onTimeout } = require('./options');
const { define } = require('./properties');
const reading = require('./reading');
const {
  atFirst, kAccepted, kBytesRead, kDispatched, kKeepAlive, kKeepAliveDelay, kNoDelay, kOnread, kServer,
} = require('./symbols');
const wrapped = require('./wrapped');
const writing = require('./writing');

// Who hears what the library tells of a socket, and what others ask of its handle.
const listeners = {
  onAttempt: connecting.onAttempt,
  onClose: ending.onClose,
  onConnect: connecting.onConnect,
  onData: reading.onData,
  onEnd: reading.onEnd,
  onError: ending.onError,
  onFinished: writing.onFinished,
  onLeft: ending.onLeft,
  onTimeout,
  onWritten: writing.onWritten,
  startReading: reading.startReading,
  stopReading: reading.stopReading,
};

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
  const { handle } = options ?? {};
  if (handle && typeof handle !== 'object') {
    throw new TypeError(`Cannot create property 'Symbol(owner_symbol)' on ${typeof handle} '${String(handle)}'`);
  }
  this.connecting = false;
  this._hadError = false;
  this._parent = null;
  this._host = null;
  this._handle = null;
  this._peername = undefined;
  this._sockname = undefined;
  this._pendingData = null;
  this._pendingEncoding = '';
  this.server = null;
  this._server = null;
  this[kBytesRead] = 0;
  this[kDispatched] = 0;

  const accepted = options?.[kAccepted];
  const given = accepted !== undefined ? options : optionsOf(options);
  const connection = accepted ?? (handle instanceof Handle ? handle : undefined);
  const kind = given.fd !== undefined ? kindOfDescriptor(given.fd) : null;
  Duplex.call(this, given);

  if (given.noDelay) {
    this[kNoDelay] = true;
  }
  if (given.keepAlive) {
    this[kKeepAlive] = true;
  }
  if (given.keepAliveInitialDelay >= 1000) {
    this[kKeepAliveDelay] = Math.max(0, ~~(given.keepAliveInitialDelay / 1000));
  }
  const { onread } = given;
  if (onread !== null && typeof onread === 'object' && typeof onread.callback === 'function' &&
      (typeof onread.buffer === 'function' || onread.buffer instanceof Uint8Array)) {
    const next = typeof onread.buffer === 'function' ? onread.buffer : null;
    this[kOnread] = { next, buffer: next === null ? onread.buffer : null, callback: onread.callback };
  }
  this.on('end', writing.afterEnd);
  if (connection !== undefined) {
    take(this, connection, given);
  } else if (handle && Number.isInteger(handle.fd) && handle.fd >= 0) {
    takeOver(this, handle, given);
  } else if (kind !== null) {
    adopt(this, given.fd, given, listeners);
  }
  if (this.destroyed) {
    this._undestroy(); // a signal that is aborted already: the error and the close are on their way
  }
}
Object.setPrototypeOf(Socket.prototype, Duplex.prototype);
Object.setPrototypeOf(Socket, Duplex);
Object.assign(Socket.prototype, atFirst, reading.methods, writing.methods, ending.methods, wrapped.methods, options, {
  connect: connecting.makeConnect(listeners),
});
define(Socket.prototype);

// Sockets that Node's own modules make, such as those of http, are sockets as well.
Object.defineProperty(Socket, Symbol.hasInstance, {
  value(instance) {
    return Function.prototype[Symbol.hasInstance].call(this, instance) || (this === Socket && instance instanceof net.Socket);
  },
});

// What the stream gets, of options that are not its own.
function optionsOf(options) {
  const given = typeof options === 'number' ? { fd: options } : { ...options };
  given.allowHalfOpen = Boolean(given.allowHalfOpen);
  given.emitClose = false;
  given.autoDestroy = true;
  given.decodeStrings = false;
  return given;
}

// A connection that a server got, or that another socket has had until now.
function take(socket, handle, options) {
  reading.nextBuffer(socket);
  socket._handle = handle;
  handle.owner = socket;
  handle.listeners = listeners;
  handle.limit = atOnce(socket);
  if (options.pauseOnCreate) {
    handle.paused = true;
    settle(socket, handle);
    socket.readableFlowing = false;
  } else if (!options.manualStart && options.readable !== false) {
    socket.read(0);
  }
}

// One of Node's own handles: the library gets its descriptor, and nobody else has it any more.
function takeOver(socket, handle, options) {
  kindOfDescriptor(handle.fd);
  adopt(socket, handle.fd, options, listeners, true);
  handle.close?.();
}

module.exports = { Socket, kAccepted, kServer };
