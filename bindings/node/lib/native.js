// The addon, and the one place where what it tells comes in.
'use strict';

const { AsyncResource } = require('node:async_hooks');
const fs = require('node:fs');
const { markAsUntransferable } = require('node:worker_threads');
const native = require('./load');

// As in src/binding.h.
const KIND = {
  DATA: 1, BUFFER: 2, SLAB: 3, END: 4, WRITTEN: 5, FINISHED: 6, CONNECT: 7, ATTEMPT: 8, FAILED: 9, TIMED_OUT: 10,
  TIMEOUT: 11, ERROR: 12, CLOSE: 13, CONNECTION: 14, SERVER_CLOSE: 15, HELD: 16,
};
const LATE = { END: 0, FINISH: 1, CLOSE: 2 };
const NUMBERS = 4;
const ROOM = (4096 + 1024) * NUMBERS;
const READ = 64 * 1024;
const HANDLED = ROOM; // how many events were handled, for the addon

const events = new Int32Array(ROOM + 1);
const extras = [];
const handles = []; // by index
const copies = new Set(); // descriptors that handles have open for others
let slab = null;
let round = 0;
let batch = 0;
let due = 0; // events of the batch, of which events[HANDLED] were handled

const ends = []; // callbacks, in order,
const finishes = []; // of this too
let leaving = []; // handles whose close is to be told, and those whose close is being told, both in order
let left = [];

const manually = { requireManualDestroy: true };

// What stands between a Socket or Server and the library. It is there from connect() or listen()
// to the close; `_handle` is this while there is a connection.
class Handle extends AsyncResource {
  constructor(type, owner, listeners, options = manually) {
    super(type, options);
    this.owner = owner;
    this.listeners = listeners; // the functions that hear of it, each with the owner and this
    this.index = -1;
    this.round = 0; // in which data was handled last,
    this.batch = 0; // and in which batch
    this.ending = false; // the end was told, and comes in the next turn of the loop
    this.reading = false; // somebody wants what comes
    this.paused = false; // the library was told that nobody does
    this.backlog = null; // what came meanwhile
    this.isPipe = false;
    this.limit = 0; // bytes that may wait before a write does
  }

  // A copy of it, which is open as long as this is: only the library has its own.
  get fd() {
    if (this.copy < 0 && this.index >= 0) {
      this.copy = this.descriptor();
      copies.add(this.copy);
    }
    return this.copy;
  }

  descriptor() {
    return native.socketDescriptor(this.index);
  }

  closeCopy() {
    if (this.copy >= 0) {
      copies.delete(this.copy);
      fs.closeSync(this.copy);
      this.copy = -1;
    }
  }

  ref() {
    this.owner.ref();
  }

  unref() {
    this.owner.unref();
  }

  get resource() {
    return this.isPipe ? 'PipeWrap' : 'TCPSocketWrap';
  }

  // What http, and others, ask of Node's own handles.
  getAsyncId() {
    return this.asyncId();
  }

  name(remote) {
    return this.index < 0 ? undefined : native.socketName(this.index, remote);
  }

  get bytesRead() {
    return this.owner.bytesRead;
  }

  get bytesWritten() {
    return this.owner._bytesDispatched;
  }

  // The socket is told nothing of that, as in Node.
  close(callback) {
    this.closeCopy();
    if (this.index >= 0 && !this.closed) {
      native.socketDestroy(this.index);
    }
    if (typeof callback === 'function') {
      setImmediate(() => Reflect.apply(callback, this, []));
    }
  }

  readStart() {
    this.listeners.startReading(this.owner, this);
    return 0;
  }

  readStop() {
    this.listeners.stopReading(this.owner, this);
    return 0;
  }

  hasRef() {
    return this.holds;
  }

  // It had data in the batch that is handled now.
  hasNews() {
    return this.batch === batch;
  }

  // Bytes have come that Node, which reads 64 KiB at a time, would have left in the kernel until now.
  hasUnread() {
    let bytes = this.news;
    for (let place = events[HANDLED] * NUMBERS; place < due * NUMBERS && bytes <= READ; place += NUMBERS) {
      if (events[place + 1] === this.index) {
        bytes += lengthAt(place);
      }
    }
    return bytes > READ && bytes > this.news;
  }

  // So that a socket can be made JSON, as Node's can.
  toJSON() {
    return { reading: this.reading };
  }

  // Of a server that closes.
  refuseArriving() {
    for (const handle of this.arriving ?? []) {
      const { index, waiting } = handle;
      handle.forget();
      if (waiting.some(([kind]) => kind === KIND.CLOSE)) {
        native.socketFree(index);
      } else {
        refuse(index);
      }
    }
    this.arriving = null;
  }

  open(index) {
    this.index = index;
    handles[index] = this;
  }

  // Calls that when Node would read the end that came with the last of the data,
  endLate(callback) {
    ends.push(callback);
    native.tellLate(LATE.END);
  }

  // or when it would say that end() is done.
  finishLate(callback) {
    finishes.push(callback);
    native.tellLate(LATE.FINISH);
  }

  // Tells the close when Node would.
  leaveLate() {
    leaving.push(this);
    native.tellLate(LATE.CLOSE);
  }

  beginRequest() {
    this.request = resourceOf(this.isPipe ? 'PIPECONNECTWRAP' : 'TCPCONNECTWRAP', this);
  }

  // Once it has an outcome.
  endRequest() {
    if (this.request !== null && !(this.owner._handle === this && this.owner.connecting)) {
      this.request.emitDestroy();
      this.request = null;
    }
  }

  forget() {
    this.closeCopy();
    this.endRequest();
    this.emitDestroy();
    if (this.index >= 0) {
      handles[this.index] = undefined;
      this.index = -1;
    }
  }
}

const tcpMethods = {
  getpeername(out) {
    return fill(out, this.name(true));
  },

  getsockname(out) {
    return fill(out, this.name(false));
  },

  setNoDelay(enable) {
    return native.socketNoDelay(this.index, enable ? 1 : 0);
  },

  setKeepAlive(enable, delay) {
    return native.socketKeepAlive(this.index, enable ? 1 : 0, delay * 1000);
  },
};

function fill(out, name) {
  if (name === undefined) {
    return -107; // ENOTCONN
  }
  const [address, port, family] = name;
  Object.assign(out, { address, family: `IPv${family}`, port });
  return 0;
}

// The names of Node's.
class TCP extends Handle {
  constructor(owner, listeners, options) {
    super('TCPWRAP', owner, listeners, options);
  }
}

class Pipe extends Handle {
  constructor(owner, listeners, options) {
    super('PIPEWRAP', owner, listeners, options);
    this.isPipe = true;
  }
}

Object.assign(TCP.prototype, tcpMethods);

function handleFor(isPipe, owner, listeners, options) {
  return isPipe ? new Pipe(owner, listeners, options) : new TCP(owner, listeners, options);
}

// A resource of the async hooks that something of a handle's is done in.
function resourceOf(type, handle) {
  return new AsyncResource(type, { triggerAsyncId: handle.asyncId() });
}

// What most handles never have otherwise, and that only costs memory in each.
Object.assign(Handle.prototype, {
  asked: 0, // writes that the library is asked to answer,
  told: 0, // and those it has
  writes: null, // callbacks that wait for one of them
  holds: true, // the loop
  ended: false, // the peer's side
  request: null, // the resource of its connecting
  path: undefined, // what it connects to, if it is one
  first: null, // what it connects to first
  bound: false, // from an address or a port of its own
  started: 0, // connecting, if an observer wants to know
  copy: -1, // its descriptor, if somebody asked for it
  several: false, // addresses are tried
  trying: null, // the address of the attempt that was told last
  attempted: false, // the next attempt to connect was told already
  closed: false, // by the library
  ofAccepted: undefined, // options of the resources that a server's connections are
  left: false, // its close was told
  finishing: false, // its end was sent to the library
  news: 0, // bytes that came last
  arrived: -1, // the batch with the last connection of a server, and those whose turn has not come,
  arriving: null,
  arrivals: 0, // with so many turns asked for
  waiting: null, // what was told of a connection whose turn has not come
  accepted: true, // it has
});

function take(at) {
  const value = extras[at];
  extras[at] = undefined;
  return value;
}

function lengthAt(place) {
  switch (events[place]) {
    case KIND.DATA:
      return events[place + 3];
    case KIND.BUFFER:
      return extras[events[place + 2]].length;
    default:
      return 0;
  }
}

function tell(handle, kind, a, b) {
  const { listeners, owner } = handle;
  switch (kind) {
    case KIND.DATA:
      listeners.onData(owner, handle, Buffer.from(slab, a, b));
      break;
    case KIND.BUFFER:
      listeners.onData(owner, handle, take(a));
      break;
    case KIND.END:
      listeners.onEnd(owner, handle);
      break;
    case KIND.WRITTEN:
      listeners.onWritten(owner, handle, a);
      break;
    case KIND.FINISHED:
      listeners.onFinished(owner, handle, a);
      break;
    case KIND.CONNECT:
      listeners.onConnect(owner, handle);
      break;
    case KIND.ATTEMPT:
      listeners.onAttempt(owner, handle, 'connectionAttempt', extras[a]);
      break;
    case KIND.FAILED:
      listeners.onAttempt(owner, handle, 'connectionAttemptFailed', extras[a]);
      break;
    case KIND.TIMED_OUT:
      listeners.onAttempt(owner, handle, 'connectionAttemptTimeout', extras[a]);
      break;
    case KIND.TIMEOUT:
      listeners.onTimeout(owner, handle);
      break;
    case KIND.ERROR:
      listeners.onError(owner, handle, extras[a]);
      break;
    case KIND.CLOSE:
      listeners.onClose(owner, handle);
      break;
    case KIND.HELD:
      if (!handle.paused) {
        native.socketResume(handle.index);
      }
      break;
  }
}

// Called by the addon with the events from number `first` on, and again until all are handled: what an event put off
// (process.nextTick, promises) has run before the next one, as it has between Node's own callbacks. Only data of different
// sockets is handled in one call, which is where the load is, and where nobody can tell.
function run(first, count) {
  let i = first;
  round++;
  due = count;
  if (first === 0) {
    batch++;
  }
  while (i < count) {
    const place = i * NUMBERS;
    const kind = events[place];
    if (kind === KIND.SLAB) {
      slab = extras[events[place + 2]];
      markAsUntransferable(slab);
    } else if (kind === KIND.DATA || kind === KIND.BUFFER) {
      const handle = handles[events[place + 1]];
      if (handle !== undefined && handle.waiting !== null) {
        putOff(handle, kind, kind === KIND.DATA ? Buffer.from(slab, events[place + 2], events[place + 3]) : take(events[place + 2]));
      } else if (handle !== undefined) {
        if (handle.round === round) {
          return;
        }
        handle.round = round;
        handle.batch = batch;
        handle.news = lengthAt(place);
        events[HANDLED] = i + 1;
        handle.runInAsyncScope(tell, undefined, handle, kind, events[place + 2], events[place + 3]);
      }
    } else if (i === first) {
      events[HANDLED] = i + 1;
      runAlone(kind, events[place + 1], events[place + 2]);
      return;
    } else {
      return;
    }
    events[HANDLED] = ++i;
  }
}

function runAlone(kind, index, a) {
  if (kind === KIND.CONNECTION) {
    const server = handles[a];
    if (server !== undefined && server.owner._handle === server) {
      arrive(server, index);
    } else {
      refuse(index); // it came while the server was closed
    }
    return;
  }
  const handle = handles[index];
  if (kind === KIND.SERVER_CLOSE) {
    handle?.forget();
    native.serverFree(index);
  } else if (handle !== undefined && handle.waiting !== null) {
    putOff(handle, kind, kind === KIND.ERROR ? extras[a] : a);
  } else if (handle !== undefined && kind === KIND.ATTEMPT && handle.attempted) {
    handle.attempted = false; // it was told
  } else if (handle !== undefined && handle.request !== null) {
    handle.request.runInAsyncScope(tell, undefined, handle, kind, a, 0);
    handle.endRequest();
  } else if (handle !== undefined) {
    handle.runInAsyncScope(tell, undefined, handle, kind, a, 0);
  } else if (kind === KIND.CLOSE) {
    native.socketFree(index);
  }
}

// ---- Connections ----

// Node accepts one connection of a server in a turn of the loop. Of those that came together the others wait for theirs, and
// what is told of them waits for the turn after that. When there are many, the last of them alone.
const ALONE = 8;

function later(callback) {
  ends.push(callback);
  native.tellLate(LATE.END);
}

function arrive(server, index) {
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

function putOff(handle, kind, value) {
  const last = handle.waiting.at(-1);
  if (last !== undefined && Buffer.isBuffer(last[1]) && Buffer.isBuffer(value) && last[1].length + value.length <= READ) {
    last[1] = Buffer.concat([last[1], value]);
    return;
  }
  handle.waiting.push([kind, value]);
  if (handle.accepted) {
    later(() => catchUp(handle));
  }
}

function catchUp(handle) {
  const [kind, value] = handle.waiting.shift();
  if (handle.waiting.length === 0) {
    handle.waiting = null;
  }
  handle.runInAsyncScope(tellLater, undefined, handle, kind, value);
}

function tellLater(handle, kind, value) {
  const { listeners, owner } = handle;
  if (Buffer.isBuffer(value)) {
    handle.batch = batch;
    listeners.onData(owner, handle, value);
  } else if (kind === KIND.ERROR) {
    listeners.onError(owner, handle, value);
  } else {
    tell(handle, kind, value, 0);
  }
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

// Its resource holds nothing, which is said to those who list what does.
native.start(run, events, extras, { hasRef: () => false }, runLate);
// What was written before process.exit() reaches the kernel, as with Node.
process.on('exit', native.exiting);

function isCopy(fd) {
  return copies.has(fd);
}

// Those of this thread that are open.
function openHandles() {
  return handles.filter((handle) => handle !== undefined);
}

module.exports = { Handle, handleFor, isCopy, native, openHandles, resourceOf, tcpMethods };
