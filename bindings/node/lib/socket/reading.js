// From the library to the stream, or to the `onread` option.
'use strict';

const { Duplex } = require('node:stream');
const { later } = require('../late');
const { hasNews, native } = require('../native');
const { settle } = require('./holding');
const { kBytesRead, kOnread, kReadWanted } = require('./symbols');

const END = Symbol('end');

function pauseNative(socket, handle) {
  if (!handle.paused) {
    handle.paused = true;
    native.socketPause(handle.index);
    settle(socket, handle);
  }
}

function stopReading(socket, handle) {
  handle.reading = false;
  pauseNative(socket, handle);
}

function startReading(socket, handle) {
  handle.reading = true;
  if (socket[kOnread] !== null && handle.backlog !== null) {
    setImmediate(takeBacklogLater, socket, handle); // not inside the call that asks for it
  } else {
    takeBacklog(socket, handle);
  }
}

function takeBacklogLater(socket, handle) {
  if (socket._handle === handle && handle.reading) {
    takeBacklog(socket, handle);
  }
}

// What came while nobody wanted it; then more.
function takeBacklog(socket, handle) {
  const { backlog } = handle;
  if (backlog !== null) {
    handle.backlog = null;
    for (let i = 0; i < backlog.length; i++) {
      if (!handle.reading) {
        handle.backlog = (handle.backlog ?? []).concat(backlog.slice(i)); // what is left of the last one comes first
        return;
      }
      if (backlog[i] === END) {
        takeEnd(socket);
      } else {
        takeData(socket, handle, backlog[i]);
      }
    }
  }
  if (handle.reading && handle.paused) {
    handle.paused = false;
    native.socketResume(handle.index);
    settle(socket, handle);
  }
}

function keep(handle, what) {
  if (handle.backlog === null) {
    handle.backlog = [what];
  } else {
    handle.backlog.push(what);
  }
}

function onData(socket, handle, buffer) {
  if (socket._handle !== handle) {
    return;
  }
  if (handle.reading && handle.backlog === null) {
    takeData(socket, handle, buffer);
  } else {
    keep(handle, buffer);
    if (!socket.connecting && !handle.reading) {
      pauseNative(socket, handle);
    }
  }
}

function takeData(socket, handle, buffer) {
  if (socket[kOnread] !== null) {
    fill(socket, handle, buffer);
    return;
  }
  socket[kBytesRead] += buffer.length;
  if (!socket.push(buffer) && socket._handle === handle) {
    stopReading(socket, handle);
  }
}

// A function gives the buffer for what comes next.
function nextBuffer(socket) {
  const onread = socket[kOnread];
  if (onread !== null && onread.next !== null) {
    onread.buffer = onread.next();
  }
}

// Whether to go on. A callback that throws misses nothing: the rest comes to it in a turn of its own.
function ask(socket, handle, length, rest) {
  const { callback, buffer } = socket[kOnread];
  let threw = true;
  try {
    const answer = Reflect.apply(callback, socket, [length, buffer]);
    threw = false;
    return answer;
  } finally {
    if (threw && socket._handle === handle && rest.length > 0) {
      handle.backlog = [rest, ...(handle.backlog ?? [])];
      setImmediate(takeBacklogLater, socket, handle);
    }
  }
}

// Into the buffers of the `onread` option.
function fill(socket, handle, bytes) {
  const onread = socket[kOnread];
  let at = 0;
  while (at < bytes.length) {
    const { buffer } = onread;
    const length = Math.min(bytes.length - at, buffer.length);
    bytes.copy(buffer, 0, at, at + length);
    at += length;
    socket[kBytesRead] += length;
    const goOn = ask(socket, handle, length, bytes.subarray(at));
    if (socket._handle !== handle) {
      return;
    }
    nextBuffer(socket);
    if (goOn === false) {
      handle.reading = false;
    }
    if (!handle.reading) {
      if (at < bytes.length) {
        handle.backlog = [bytes.subarray(at), ...(handle.backlog ?? [])];
      }
      pauseNative(socket, handle);
      return;
    }
  }
}

function onEnd(socket, handle) {
  if (socket._handle !== handle) {
    return;
  }
  handle.ended = true;
  settle(socket, handle);
  handle.limit = 0; // whether anybody takes what is written is now uncertain: wait for it
  // Node reads the end in a turn of the loop after that in which it read the last of the data, unless both sides have ended.
  if (hasNews(handle) && !handle.finishing) {
    handle.ending = true;
    later(() => handle.runInAsyncScope(noteEnd, undefined, socket, handle));
  } else {
    noteEnd(socket, handle);
  }
}

function noteEnd(socket, handle) {
  handle.ending = false;
  if (socket._handle !== handle) {
    return;
  }
  if (handle.reading && handle.backlog === null) {
    takeEnd(socket);
  } else {
    keep(handle, END);
  }
}

function takeEnd(socket) {
  socket.push(null);
  socket.read(0);
}

// With the `onread` option the stream does not say when to go on.
function goOn(socket) {
  if (socket[kOnread] !== null && !socket.connecting && socket._handle !== null && !socket._handle.reading) {
    startReading(socket, socket._handle);
  }
}

const methods = {
  _read() {
    const handle = this._handle;
    if (handle === null || this.connecting) {
      this[kReadWanted] = true;
    } else if (!handle.reading) {
      startReading(this, handle);
    }
  },

  pause() {
    if (this[kOnread] !== null && !this.connecting && this._handle?.reading) {
      stopReading(this, this._handle);
    }
    return Duplex.prototype.pause.call(this);
  },

  resume() {
    goOn(this);
    return Duplex.prototype.resume.call(this);
  },

  read(n) {
    goOn(this);
    return Duplex.prototype.read.call(this, n);
  },
};

module.exports = { methods, nextBuffer, onData, onEnd, pauseNative, startReading, stopReading };
