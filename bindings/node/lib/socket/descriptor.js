// Descriptors that are open already.
'use strict';

const fs = require('node:fs');
const { coded, invalidType, system } = require('../errors');
const check = require('../validate');
const { handleFor, isCopy } = require('../handle');
const { native } = require('../native');
const { settle } = require('./holding');
const { atOnce, nativeOptions } = require('./options');
const { nextBuffer, pauseNative } = require('./reading');

// 'socket' or 'pipe'; throws for what is neither.
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

function adopt(socket, fd, options, listeners, isElses = false) {
  // Node does not close the standard streams.
  const copy = isElses || fd <= 2 || isCopy(fd);
  const readable = options.readable !== false;
  const writable = options.writable !== false;
  const neither = !readable && !writable; // it is open all the same
  const index = native.socketAdopt(fd, readable || neither, writable || neither,
    { ...nativeOptions(socket), paused: neither }, copy);
  if (index < 0) {
    throw system(index, 'EINVAL', 'open', 'open EINVAL');
  }
  const handle = handleFor(native.socketName(index, false) === undefined, socket, listeners);
  handle.open(index);
  nextBuffer(socket);
  socket._handle = handle;
  // Where there is no peer, what is written fails: that is waited for.
  handle.limit = handle.isPipe || native.socketName(index, true) !== undefined ? atOnce(socket) : 0;
  if (!readable) {
    handle.ended = true;
    handle.paused = neither;
    settle(socket, handle);
  }
  if (options.pauseOnCreate) {
    pauseNative(socket, handle);
    socket.readableFlowing = false;
  } else if (!options.manualStart && readable) {
    socket.read(0);
  }
}

module.exports = { adopt, kindOfDescriptor };
