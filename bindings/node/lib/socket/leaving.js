// A socket whose connection goes elsewhere.
'use strict';

const { native } = require('../native');
const { kIdle, kServer, restore } = require('./symbols');

const listeners = {
  onData() {},
  onEnd() {},
  onError() {},
  onTimeout() {},
  onWritten() {},
  onFinished() {},
  onClose(owner, handle) {
    const { index } = handle;
    handle.forget();
    native.socketFree(index);
  },
};

// The library closes it, and nobody hears of that.
function drop(handle) {
  handle.listeners = listeners;
  handle.left = true;
  native.socketDestroy(handle.index);
}

// It is read until the peer has ended too, and nobody hears of that; but the socket's close is told.
function letEnd(handle) {
  const { onLeft } = handle.listeners;
  if (!handle.finishing) {
    native.socketEnd(handle.index, false);
  }
  handle.listeners = { ...listeners, onLeft };
  if (!handle.finishing) {
    native.socketEnd(handle.index, false);
  }
  native.socketResume(handle.index);
  native.socketUnref(handle.index);
}

// The socket is without a connection from here on, and says nothing.
function letGo(socket) {
  const handle = socket._handle;
  clearTimeout(socket[kIdle]);
  socket._handle = null;
  drop(handle);
  restore(socket, kServer);
}

module.exports = { drop, letEnd, letGo };
