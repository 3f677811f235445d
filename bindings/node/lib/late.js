// What Node tells later than the library does. The addon says when (src/thread.c).
'use strict';

const { LATE } = require('./kinds');
const native = require('./load');

const ends = []; // callbacks, in order,
const finishes = []; // of this too
let leaving = []; // handles whose close is to be told, and those whose close is being told, both in order
let left = [];

// Calls that when Node would read the end that came with the last of the data,
function later(callback) {
  ends.push(callback);
  native.tellLate(LATE.END);
}

// or when it would say that end() is done.
function finishLater(callback) {
  finishes.push(callback);
  native.tellLate(LATE.FINISH);
}

// Tells the close when Node would.
function leaveLater(handle) {
  leaving.push(handle);
  native.tellLate(LATE.CLOSE);
}

// Called by the addon as often as it was asked to. As in Node, who was closed last leaves first.
function runLate(kind, isFirst) {
  if (kind !== LATE.CLOSE) {
    const queue = kind === LATE.END ? ends : finishes;
    queue.shift()();
    return;
  }
  if (isFirst) {
    left = leaving;
    leaving = [];
  }
  const handle = left.pop();
  handle.runInAsyncScope(handle.listeners.onLeft, undefined, handle.owner, handle);
}

module.exports = { finishLater, later, leaveLater, runLate };
