// Connections of servers.
'use strict';

const { handleFor } = require('./handle');
const { KIND, READ } = require('./kinds');
const { later } = require('./late');
const native = require('./load');

// Node accepts one connection of a server in a turn of the loop. Of those that came together the others wait for theirs, and
// what is told of them waits for the turn after that. When there are many, the last of them alone.
const ALONE = 8;

// `batch` has a connection of the server's.
function arrive(server, index, batch) {
  server.ofAccepted ??= { requireManualDestroy: true, triggerAsyncId: server.asyncId() };
  const handle = handleFor(server.isPipe, null, null, server.ofAccepted); // outside of the server's context, as in Node
  handle.open(index);
  if (server.arriving === null && server.arrived !== batch) {
    server.arrived = batch;
    server.runInAsyncScope(server.listeners.onConnection, undefined, server.owner, handle);
    return;
  }
  handle.waiting = [];
  handle.accepted = false;
  server.arriving ??= [];
  server.arriving.push(handle);
  askForTurns(server);
}

function askForTurns(server) {
  if (server.arrivals === 0) {
    server.arrivals = Math.max(1, server.arriving.length - ALONE);
    for (let i = 0; i < server.arrivals; i++) {
      later(() => arriveNow(server));
    }
  }
}

function arriveNow(server) {
  server.arrivals--;
  if (server.arriving === null) {
    return; // closed meanwhile
  }
  const handle = server.arriving.shift();
  const { waiting } = handle;
  if (server.arriving.length === 0) {
    server.arriving = null;
  } else {
    askForTurns(server);
  }
  handle.accepted = true;
  if (waiting.length === 0) {
    handle.waiting = null;
  }
  waiting.forEach(() => later(() => catchUp(handle)));
  server.runInAsyncScope(server.listeners.onConnection, undefined, server.owner, handle);
}

// As the kernel does with those that nobody has accepted.
function refuse(index) {
  if (native.socketReset(index, 0) < 0) {
    native.socketDestroy(index);
  }
}

// What is told of a connection whose turn has not come, by tell(handle, kind, value).
function putOff(handle, kind, value, tell) {
  const last = handle.waiting.at(-1);
  if (last !== undefined && Buffer.isBuffer(last[1]) && Buffer.isBuffer(value) && last[1].length + value.length <= READ) {
    last[1] = Buffer.concat([last[1], value]);
    return;
  }
  handle.waiting.push([kind, value, tell]);
  if (handle.accepted) {
    later(() => catchUp(handle));
  }
}

function catchUp(handle) {
  const [kind, value, tell] = handle.waiting.shift();
  if (handle.waiting.length === 0) {
    handle.waiting = null;
  }
  handle.runInAsyncScope(tell, undefined, handle, kind, value);
}

// Of a server that closes.
function refuseArriving(server) {
  for (const handle of server.arriving ?? []) {
    const { index, waiting } = handle;
    handle.forget();
    if (waiting.some(([kind]) => kind === KIND.CLOSE)) {
      native.socketFree(index);
    } else {
      refuse(index);
    }
  }
  server.arriving = null;
}

module.exports = { arrive, putOff, refuse, refuseArriving };
