// What can be set for a connection, before it is there and while it is.
'use strict';

const { AsyncResource } = require('node:async_hooks');
const check = require('../validate');
const { native } = require('../native');
const { settle } = require('./holding');
const { kArmed, kIdle, kKeepAlive, kKeepAliveDelay, kNoDelay, kTimer, kUnref } = require('./symbols');

// A write that leaves less than this waiting is done as far as the stream is concerned; what the
// kernel takes at once of a connection of its own is more.
const AT_ONCE = 128 * 1024;

function atOnce(socket) {
  return Math.max(socket.writableHighWaterMark, AT_ONCE);
}

function nativeOptions(socket) {
  return {
    highWaterMark: atOnce(socket),
    noDelay: socket[kNoDelay],
    keepAlive: socket[kKeepAlive],
    keepAliveDelay: socket[kKeepAliveDelay] * 1000,
    timeout: socket[kArmed],
  };
}

function wholeMilliseconds(duration) {
  return Math.min(check.LONGEST_MS, Math.max(1, Math.trunc(duration)));
}

function onTimeout(socket, handle) {
  if (!socket.destroyed && socket._handle === handle && socket[kTimer] !== null) {
    socket[kTimer].runInAsyncScope(socket._onTimeout, socket);
  }
}

// The context of the idle timer, as Node has one for each.
function timeIn(socket, context) {
  socket[kTimer]?.emitDestroy();
  socket[kTimer] = context;
}

function holds(socket, yes) {
  socket[kUnref] = !yes;
  if (socket._handle !== null) {
    settle(socket, socket._handle);
  }
  return socket;
}

const methods = {
  setNoDelay(enable) {
    const wanted = Boolean(enable === undefined ? true : enable);
    if (wanted !== this[kNoDelay]) {
      this[kNoDelay] = wanted;
      if (this._handle !== null && this._handle.index >= 0) {
        native.socketNoDelay(this._handle.index, wanted ? 1 : 0);
      }
    }
    return this;
  },

  setKeepAlive(enable, initialDelay) {
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
  },

  setTimeout(duration, callback) {
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
    timeIn(this, ms === 0 ? null : new AsyncResource('Timeout'));
    if (index >= 0) {
      native.socketTimeout(index, this[kArmed]);
    } else if (ms > 0) {
      // The library knows nothing of it before it connects.
      this[kIdle] = setTimeout(() => onTimeout(this, this._handle), ms).unref();
    }
    return this;
  },

  _onTimeout() {
    this.emit('timeout');
  },

  // The time that it has been idle begins anew.
  _unrefTimer() {
    const index = this._handle === null ? -1 : this._handle.index;
    if (this[kArmed] > 0 && index >= 0) {
      native.socketTimeout(index, this[kArmed]);
    } else {
      this[kIdle]?.refresh();
    }
  },

  ref() {
    return holds(this, true);
  },

  unref() {
    return holds(this, false);
  },
};

module.exports = { atOnce, methods, nativeOptions, onTimeout, timeIn };
