// From the stream to the library.
'use strict';

const fs = require('node:fs');
const { Duplex } = require('node:stream');
const { coded } = require('../errors');
const { resourceOf } = require('../handle');
const { finishLater } = require('../late');
const { native } = require('../native');
const { settle } = require('./holding');
const { atOnce } = require('./options');
const { kAwaited, kDispatched, kFinal, kPending, kSentTo, kWrapped, kWritten } = require('./symbols');
const { refuse } = require('./wrapped');

// As in src/sockets.c; values below 0 are errors.
const WRITE = { WAITS: 0, DONE: 1, GOES_ON: 2, FAILED: 3, TAKEN: 4 };
// To ask takes time: a peer that takes much is asked less often.
const LIMIT_MAX = 512 * 1024;
const LARGE = 16 * 1024;

// The most that the kernel takes of a single write, asked for by the first large one.
const rooms = { tcp: 0, pipe: 0 };
function limitOf(file, otherwise) {
  try {
    return Number(fs.readFileSync(`/proc/sys/net/${file}`, 'utf8').trim().split(/\s+/).at(-1)) || otherwise;
  } catch {
    return otherwise;
  }
}
function roomOf(handle) {
  return handle.isPipe
    ? (rooms.pipe ||= limitOf('core/wmem_default', 212992))
    : (rooms.tcp ||= limitOf('ipv4/tcp_wmem', 4 * 1024 * 1024));
}

function bytesOf(chunk, encoding) {
  if (encoding === 'buffer' && typeof chunk === 'string') {
    throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', 'Second argument must be a buffer');
  }
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
}

function dispatch(socket, handle, data, encoding, callback) {
  if (socket.connecting || (handle === null && socket[kWrapped] && !socket.destroyed)) {
    dispatchLater(socket, { data, encoding, callback });
    return;
  }
  if (handle === null) {
    callback(coded(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed'));
    return;
  }
  const bytes = bytesOf(data, encoding);
  const told = socket[kAwaited] > 0 && isDeaf(handle);
  const fits = bytes.length < LARGE || bytes.length < roomOf(handle);
  const result = native.socketWrite(handle.index, bytes, fits ? handle.limit : -1, told);
  if (result !== WRITE.FAILED) {
    socket[kDispatched] += bytes.length;
  }
  const taken = result === WRITE.TAKEN;
  if (taken && handle.limit > 0) {
    handle.limit = Math.max(handle.limit, Math.min(handle.limit * 2, LIMIT_MAX));
  } else if (result === WRITE.WAITS && handle.limit > 0) {
    handle.limit = atOnce(socket);
  }
  if (!taken && result !== WRITE.DONE) {
    handle.asked++;
    socket[kSentTo] = handle;
    settle(socket, handle);
  }
  if (taken || result === WRITE.DONE || result === WRITE.GOES_ON) {
    callback();
  } else {
    // Done when the kernel has it; when it failed an error follows, or the close.
    socket[kWritten] = here('WRITEWRAP', handle, callback);
  }
}

// When nothing is read, only the answer to a write tells that the peer is gone.
function isDeaf(handle) {
  return handle.paused || handle.ended;
}

// A callback that is called later in the context of now.
function here(type, handle, callback) {
  const resource = resourceOf(type, handle);
  return (error) => {
    try {
      resource.runInAsyncScope(callback, undefined, error);
    } finally {
      resource.emitDestroy();
    }
  };
}

// The callback of a write that was to be told is called when the kernel has the bytes, or with the error. The stream goes on at
// once all the same: what it has for a callback begins to wait.
function whenWritten(socket, callback) {
  socket[kAwaited]++;
  return (error) => {
    socket[kAwaited]--;
    const handle = socket[kSentTo];
    if (error || handle === null || !isDeaf(handle) || handle.told === handle.asked) {
      callback(error);
    } else if (socket.destroyed) {
      callBack(handle, null, true);
      callback(error);
    } else {
      (handle.writes ??= []).push({ after: handle.asked, callback: here('WRITEWRAP', handle, callback) });
    }
  };
}

// Those that wait for an answer that has come; all of them when there will be no more.
function callBack(handle, error, all) {
  const { writes } = handle;
  while (writes !== null && writes.length > 0 && (all || writes[0].after <= handle.told)) {
    writes.shift().callback(error);
  }
}

function setPending(socket, pending) {
  socket[kPending] = pending;
  socket._pendingData = pending?.data ?? null;
  socket._pendingEncoding = pending?.encoding ?? '';
}

// The first write waits for the connection; the stream keeps the others.
function dispatchLater(socket, pending) {
  const connected = () => {
    socket.off('close', closed);
    setPending(socket, null);
    dispatch(socket, socket._handle, pending.data, pending.encoding, pending.callback);
  };
  const closed = () => {
    socket.off('connect', connected);
    pending.callback(coded(Error, 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION',
      'Socket closed before the connection was established'));
  };
  setPending(socket, pending);
  socket.once('connect', connected);
  socket.once('close', closed);
}

function onWritten(socket, handle, error) {
  if (error !== 0) {
    return; // an error follows, or the close
  }
  handle.told++;
  if (socket._handle !== handle) {
    return;
  }
  settle(socket, handle);
  try {
    callBack(handle, null, false);
  } finally {
    const callback = socket[kWritten];
    if (callback !== null && handle.told === handle.asked) {
      socket[kWritten] = null;
      callback(null);
    }
  }
}

function sendEnd(handle, tells) {
  const result = native.socketEnd(handle.index, tells);
  handle.finishing = result >= 0;
  return result;
}

function onFinished(socket, handle, error) {
  const callback = socket[kFinal];
  if (callback !== null && error === 0 && socket._handle === handle) {
    socket[kFinal] = null;
    settle(socket, handle);
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
    return methods.write.call(this, chunk, encoding, callback);
  }
  if (typeof encoding === 'function') {
    callback = encoding;
  }
  const error = new Error('This socket has been ended by the other party');
  error.code = 'EPIPE';
  if (typeof callback === 'function') {
    process.nextTick(callback, error);
  }
  this.destroy(error);
  return false;
}

const methods = {
  write(chunk, encoding, callback) {
    if (typeof encoding === 'function') {
      if (this[kWrapped] && this.writableEnded && !this.destroyed) {
        return refuse(encoding);
      }
      return Duplex.prototype.write.call(this, chunk, whenWritten(this, encoding));
    }
    return Duplex.prototype.write.call(this, chunk, encoding,
      typeof callback === 'function' ? whenWritten(this, callback) : callback);
  },

  _write(chunk, encoding, callback) {
    dispatch(this, this._handle, chunk, encoding, callback);
  },

  _writev(chunks, callback) {
    const bytes = chunks.map(({ chunk, encoding }) => bytesOf(chunk, encoding));
    dispatch(this, this._handle, bytes.length === 1 ? bytes[0] : Buffer.concat(bytes), 'buffer', callback);
  },

  _writeGeneric(writev, data, encoding, callback) {
    if (writev) {
      this._writev(data, callback);
    } else {
      this._write(data, encoding, callback);
    }
  },

  _final(callback) {
    if (this.pending) {
      this.once('connect', () => this._final(callback));
      return;
    }
    const handle = this._handle;
    const waits = handle.told !== handle.asked;
    this[kFinal] = here('SHUTDOWNWRAP', handle, callback);
    settle(this, handle);
    if (!waits) {
      finishLater(() => {
        if (this._handle === handle) {
          sendEnd(handle, false);
          onFinished(this, handle, 0);
        }
      });
    } else if (sendEnd(handle, true) < 0) {
      this[kFinal] = null;
      callback();
    }
  },

  end(data, encoding, callback) {
    Duplex.prototype.end.call(this, data, encoding, callback);
    return this;
  },
};

module.exports = { afterEnd, callBack, methods, onFinished, onWritten };
