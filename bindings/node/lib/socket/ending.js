// Errors, and the end of a connection.
'use strict';

const { coded, fromNative, system } = require('../errors');
const { leaveLater } = require('../late');
const { hasUnread, native } = require('../native');
const { cancelAttempt, failedAtOnce } = require('./attempts');
const { letEnd } = require('./leaving');
const { timeIn } = require('./options');
const { callBack } = require('./writing');
const { kArmed, kFinal, kHadError, kIdle, kReset, kServer, kTimer, kWrapped, kWritten, restore } = require('./symbols');

function onError(socket, handle, said) {
  if (socket._handle !== handle) {
    return;
  }
  if (handle.ending) {
    setImmediate(onError, socket, handle, said); // after the end
    return;
  }
  if (failedAtOnce(handle, said)) {
    delete said.localAddress;
    delete said.localPort;
  }
  const error = said.syscall === 'open' ? notConnected(socket, handle, said) : fromNative(said, handle.path);
  const written = socket[kWritten];
  if (error.syscall === 'write') {
    callBack(handle, error, true);
    if (written !== null) {
      socket[kWritten] = null;
      written(error);
    }
  }
  socket.destroy(error);
}

// The library refuses a descriptor that is not connected; Node finds out when it reads or writes.
function notConnected(socket, handle, said) {
  if (said.code !== 'ENOTCONN') {
    return fromNative(said);
  }
  if (socket[kWritten] !== null) {
    return handle.isPipe ? system(-107, 'ENOTCONN', 'write') : system(-32, 'EPIPE', 'write');
  }
  return handle.isPipe ? system(-22, 'EINVAL', 'read') : system(-107, 'ENOTCONN', 'read');
}

function onClose(socket, handle) {
  handle.closed = true;
  if (handle.left) {
    free(handle);
  } // otherwise what came before has not been read yet; destroy() follows
}

function free(handle) {
  const { index } = handle;
  handle.forget();
  if (index >= 0) {
    native.socketFree(index);
  }
}

// The library may still have something to write.
function onLeft(socket, handle) {
  handle.left = true;
  if (handle.closed || handle.index < 0) {
    free(handle);
  }
  cancelAttempt(socket, handle);
  const written = socket[kWritten];
  if (written !== null) {
    socket[kWritten] = null;
    written(null);
  }
  socket.emit('close', socket[kHadError]);
}

function closeWithoutHandle(socket) {
  socket.emit('close');
}

const methods = {
  _destroy(error, callback) {
    this.connecting = false;
    if (error) {
      this[kHadError] = true;
    } else {
      restore(this, kHadError);
    }
    restore(this, kArmed);
    clearTimeout(this[kIdle]);
    if (this[kTimer] !== null) {
      timeIn(this, null);
    }
    const handle = this._handle?.owner === this ? this._handle : null; // another socket may have got it
    this._handle = null;
    this._sockname = undefined;
    if (handle === null) {
      callback(error);
      process.nextTick(closeWithoutHandle, this);
    } else {
      process.nextTick(callBack, handle, null, true); // nothing more is heard of what was written
      handle.backlog = null;
      handle.reading = false;
      handle.closeCopy();
      if (handle.index >= 0 && !handle.closed) {
        native.socketRef(handle.index);
        if (this[kReset] && this[kFinal] !== null) {
          letEnd(handle); // what has begun to end cannot be reset any more, as in Node
          this.emit('error', system(-22, 'EINVAL', 'reset', 'reset EINVAL'));
        } else if (this[kReset]) {
          native.socketReset(handle.index, handle.finishing ? 1 : 0);
        } else if (handle.finishing) {
          native.socketDestroySoon(handle.index);
        } else if (!handle.isPipe && hasUnread(handle)) {
          native.socketReset(handle.index, 0); // as the kernel does with what nobody has read
        } else {
          native.socketDestroy(handle.index);
        }
      }
      if (this[kWrapped]) {
        setImmediate(() => handle.runInAsyncScope(onLeft, undefined, this, handle)); // before the one above it, as in Node
      } else {
        leaveLater(handle);
      }
      callback(error);
    }
    const server = this[kServer];
    if (server !== null) {
      this[kServer] = null;
      server._connections--;
      server._emitCloseIfDrained();
    }
  },

  destroySoon() {
    if (this.writable) {
      this.end();
    }
    if (this.writableFinished) {
      this.destroy();
    } else {
      this.once('finish', this.destroy);
    }
  },

  _reset() {
    this[kReset] = true;
    return this.destroy();
  },

  resetAndDestroy() {
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
  },
};

module.exports = { methods, onClose, onError, onLeft };
