// What is told of each attempt to connect.
'use strict';

const { fromNative, system } = require('../errors');
const { native } = require('../native');
const { kSeveral } = require('./symbols');

// The first attempt is told before the library begins it, as Node does: inside the call, if nothing had to be waited for.
function tellFirst(socket, handle, address, port, family) {
  handle.attempted = true;
  handle.trying = address;
  handle.first = { address, port };
  if (socket[kSeveral]) {
    handle.several = true;
    socket.autoSelectFamilyAttemptedAddresses.push(`${address}:${port}`);
  }
  socket.emit('connectionAttempt', address, ...(handle.isPipe ? [undefined, undefined] : [port, family ?? native.isIP(address)]));
}

function onAttempt(socket, handle, event, said) {
  const [, port, family, error] = said;
  const address = handle.given ?? said[0]; // as it was written
  if (socket._handle !== handle) {
    return;
  }
  handle.trying = event === 'connectionAttempt' ? address : null;
  if (failedAtOnce(handle, error) && !socket[kSeveral]) {
    return;
  }
  if (event === 'connectionAttempt' && socket[kSeveral]) {
    socket.autoSelectFamilyAttemptedAddresses.push(`${address}:${port}`);
  }
  socket.emit(event, address, ...(family === 1 ? [undefined, undefined] : [port, family]),
    ...(error === undefined ? [] : [fromNative(error, handle.path)]));
}

// Of a port of its own, all others are answers of the peer, or of those between.
const AT_ONCE = ['EADDRNOTAVAIL', 'EADDRINUSE', 'EINVAL', 'ENETUNREACH'];

// The system refused before there was an attempt: Node has the local address in the message alone then.
function failedAtOnce(handle, said) {
  return said !== undefined && said.localAddress !== undefined && (!handle.bound || AT_ONCE.includes(said.code));
}

// One of several attempts was told, and had no outcome when the socket was destroyed.
function cancelAttempt(socket, handle) {
  const address = handle.trying;
  if (address === null || !handle.several) {
    return;
  }
  const { port } = handle.first;
  const error = system(-125, 'ECANCELED', 'connect', `connect ECANCELED ${address}:${port}`);
  error.address = address;
  error.port = port;
  socket.emit('connectionAttemptFailed', address, port, native.isIP(address), error);
}

module.exports = { cancelAttempt, failedAtOnce, onAttempt, tellFirst };
