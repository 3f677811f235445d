// Whether a socket keeps the loop, as Node's do: while something is under way, unref'd or not; otherwise while it is read, and
// more may come.
'use strict';

const { native } = require('../native');
const { kFinal, kUnref } = require('./symbols');

function settle(socket, handle) {
  if (handle.index < 0) {
    return;
  }
  const underWay = socket.connecting || handle.told !== handle.asked || socket[kFinal] !== null;
  const holds = underWay || (!socket[kUnref] && !handle.paused && !handle.ended);
  if (holds !== handle.holds) {
    handle.holds = holds;
    if (holds) {
      native.socketRef(handle.index);
    } else {
      native.socketUnref(handle.index);
    }
  }
}

module.exports = { settle };
