// A socket that Node's TLS (or HTTP/2) wraps, as it does with any stream whose handle is not one of Node's own.
'use strict';

const net = require('../node_net');
const { Duplex } = require('node:stream');
const { kWrapped } = require('./symbols');

const WRAPPER = 'node:internal/js_stream_socket';

let lent = false;

const methods = {
  on(name, listener) {
    if (name === 'data' && this.isPaused() && !this[kWrapped] && isAskedBy(WRAPPER, methods.on)) {
      wrap(this);
    }
    return Duplex.prototype.on.call(this, name, listener);
  },
};
methods.addListener = methods.on;

// Who is above `callee` in the stack.
function isAskedBy(file, callee) {
  const limit = Error.stackTraceLimit;
  Reflect.set(Error, 'stackTraceLimit', 3); // a class made of ours may have an on() of its own
  const place = {};
  Error.captureStackTrace(place, callee);
  Reflect.set(Error, 'stackTraceLimit', limit);
  return String(place.stack).includes(file);
}

// It ends when what is above says so, which has a last message to write when the peer has ended; and what is written before
// there is a connection waits for it.
function wrap(socket) {
  socket[kWrapped] = true;
  process.nextTick(() => { // the one above it wants to know first what it was
    socket.allowHalfOpen = true;
  });
  if (!lent) {
    lent = true;
    lendNames();
    followBelow();
  }
}

// A TLS socket asks the handle under it for the addresses, which for a wrapped stream has none: it asks the stream instead.
// So does the wrapper itself, which HTTP/2 shows as its socket.
function lendNames() {
  const { TLSSocket } = require('node:tls');
  for (const [prototype, below] of [
    [net.Socket.prototype, (wrapper) => wrapper.stream],
    [TLSSocket.prototype, (socket) => socket._handle?._parentWrap?.stream],
  ]) {
    for (const [method, kept] of [['_getpeername', '_peername'], ['_getsockname', '_sockname']]) {
      const inherited = prototype[method];
      prototype[method] = function() {
        const under = below(this);
        if (!under?.[kWrapped]) {
          return inherited.call(this);
        }
        this[kept] = under[method]();
        return this[kept];
      };
    }
  }
}

// A TLS socket knows of one of Node's own under it whether it is connected, and that it failed: of others it does not.
function followBelow() {
  const { TLSSocket } = require('node:tls');
  const { _init: init, _destroy: destroy } = TLSSocket.prototype;
  TLSSocket.prototype._init = function(socket, wrap) {
    init.call(this, socket, wrap);
    if (socket?.[kWrapped] && (socket.connecting || socket._handle === null) && !socket.destroyed) {
      this.connecting = true;
      socket.once('connect', () => {
        this.connecting = false;
        this.emit('connect');
      });
    }
  };
  TLSSocket.prototype._destroy = function(error, callback) {
    const under = this._handle?._parentWrap?.stream;
    if (!error && under?.[kWrapped] && !this.connecting && under.errored?.syscall === 'read') {
      destroy.call(this, under.errored, () => callback(null)); // it was told already, but not that the close comes from it
    } else {
      destroy.call(this, error, callback);
    }
  };
}

// What is above may still have something to say when somebody has ended the socket below it: an error to that, and to nothing else.
function refuse(callback) {
  const error = new Error('This socket has been ended');
  error.code = 'EPIPE';
  process.nextTick(callback, error);
  return false;
}

module.exports = { methods, refuse };
