// What require('troupe-net') gives: the exports of Node's net.
'use strict';

const { channel } = require('node:diagnostics_channel');
const { deprecate } = require('node:util');
const { normalize } = require('./arguments');
const { BlockList } = require('./block_list');
const defaults = require('./defaults');
const listing = require('./listing');
const observing = require('./observing');
const sending = require('./sending');
const { Server, createServerHandle } = require('./server');
const { Socket } = require('./socket');
const { isIP } = require('./socket/lookup');
const { SocketAddress } = require('./socket_address');

sending.watchAll();
listing.listAll();
observing.observeAll();

const clientSockets = channel('net.client.socket');

function createServer(options, connectionListener) {
  return new Server(options, connectionListener);
}

function connect(...args) {
  const normalized = normalize(args);
  const [options] = normalized;
  const socket = new Socket(options);
  if (clientSockets.hasSubscribers) {
    clientSockets.publish({ socket });
  }
  if (options.timeout) {
    socket.setTimeout(options.timeout);
  }
  return socket.connect(normalized);
}

function isIPv4(input) {
  return isIP(input) === 4;
}

function isIPv6(input) {
  return isIP(input) === 6;
}

const {
  getDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamily,
  setDefaultAutoSelectFamilyAttemptTimeout,
} = defaults;

const _setSimultaneousAccepts = deprecate(() => {}, 'net._setSimultaneousAccepts() is deprecated and will be removed.', 'DEP0121');
Object.defineProperty(_setSimultaneousAccepts, 'name', { value: '_setSimultaneousAccepts', configurable: true });

// Names alone, so that import { … } finds them.
module.exports = {
  _createServerHandle: createServerHandle,
  _normalizeArgs: normalize,
  _setSimultaneousAccepts,
  BlockList,
  SocketAddress,
  connect,
  createConnection: connect,
  createServer,
  isIP,
  isIPv4,
  isIPv6,
  Server,
  Socket,
  Stream: Socket,
  getDefaultAutoSelectFamily,
  setDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamilyAttemptTimeout,
};
