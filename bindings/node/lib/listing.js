// process._getActiveHandles() and process.getActiveResourcesInfo() list our sockets and servers as they do Node's own: those
// that are not unref'd, until their close is told.
'use strict';

const { openHandles } = require('./handle');
const { kUnref } = require('./socket/symbols');

function activeHandles() {
  return openHandles().filter(({ owner, left }) => owner !== null && !left && !owner._unref && !owner[kUnref]);
}

// Adds what `ours` gives to what Node's function does.
function extend(name, ours) {
  const inherited = process[name];
  if (typeof inherited === 'function') {
    Object.defineProperty(process, name, {
      ...Object.getOwnPropertyDescriptor(process, name),
      value: Object.defineProperty(() => [...Reflect.apply(inherited, process, []), ...ours()], 'name', { value: inherited.name }),
    });
  }
}

function listAll() {
  extend('_getActiveHandles', () => activeHandles().map(({ owner }) => owner));
  extend('getActiveResourcesInfo', () => activeHandles().map(({ resource }) => resource));
}

module.exports = { listAll };
