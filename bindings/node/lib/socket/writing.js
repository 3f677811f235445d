// From the stream to the library.
'use strict';

const { Duplex } = require('node:stream');
const { coded } = require('../errors');
const { native } = require('../native');
const { kDispatched, kFinal, kPending, kWritten } = require('./symbols');

function bytesOf(chunk, encoding) {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
}

function dispatch(socket, handle, data, encoding, callback) {
  if (socket.connecting) {
    dispatchLater(socket, { data, encoding, callback });
    return;
  }
  if (handle === null) {
    callback(coded(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed'));
    return;
  }
  const bytes = bytesOf(data, encoding);
  socket[kDispatched] += bytes.length;
  if (native.socketWrite(handle.index, bytes, handle.limit) === 1) {
    callback();
  } else {
    // Done when the kernel has it; when it failed an error follows, or the close.
    socket[kWritten] = callback;
  }
}

// The first write waits for the connection; the stream keeps the others.
function dispatchLater(socket, pending) {
  const connected = () => {
    socket.off('close', closed);
    socket[kPending] = null;
    dispatch(socket, socket._handle, pending.data, pending.encoding, pending.callback);
  };
  const closed = () => {
    socket.off('connect', connected);
    socket[kPending] = null;
    pending.callback(coded(Error, 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION',
      'Socket closed before the connection was established'));
  };
  socket[kPending] = pending;
  socket.once('connect', connected);
  socket.once('close', closed);
}

function onWritten(socket, handle, error) {
  const callback = socket[kWritten];
  if (callback !== null && error === 0) {
    socket[kWritten] = null;
    callback(null);
  }
}

function onFinished(socket, handle, error) {
  const callback = socket[kFinal];
  if (callback !== null && error === 0) {
    socket[kFinal] = null;
    callback();
  }
}

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

const methods = {
  _write(chunk, encoding, callback) {
    dispatch(this, this._handle, chunk, encoding, callback);
  },

  _writev(chunks, callback) {
    const bytes = chunks.map(({ chunk, encoding }) => bytesOf(chunk, encoding));
    dispatch(this, this._handle, bytes.length === 1 ? bytes[0] : Buffer.concat(bytes), 'buffer', callback);
  },

  _final(callback) {
    if (this.pending) {
      this.once('connect', () => this._final(callback));
      return;
    }
    this[kFinal] = callback;
    if (native.socketEnd(this._handle.index) < 0) {
      this[kFinal] = null;
      callback();
    }
  },

  end(data, encoding, callback) {
    Duplex.prototype.end.call(this, data, encoding, callback);
    return this;
  },
};

module.exports = { afterEnd, methods, onFinished, onWritten };
