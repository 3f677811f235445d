// The addon, and the one place where what it tells comes in.
'use strict';

const { markAsUntransferable } = require('node:worker_threads');
const { arrive, putOff, refuse } = require('./arriving');
const { handles } = require('./handle');
const { KIND, READ } = require('./kinds');
const { runLate } = require('./late');
const native = require('./load');

const NUMBERS = 4;
const ROOM = (4096 + 1024) * NUMBERS;
const HANDLED = ROOM; // how many events were handled, for the addon

const events = new Int32Array(ROOM + 1);
const extras = [];
let slab = null;
let round = 0;
let batch = 0;
let due = 0; // events of the batch, of which events[HANDLED] were handled

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

// The same, when it was put off.
function tellPutOff(handle, kind, value) {
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
        const bytes = kind === KIND.DATA ? Buffer.from(slab, events[place + 2], events[place + 3]) : take(events[place + 2]);
        putOff(handle, kind, bytes, tellPutOff);
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
      arrive(server, index, batch);
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
    putOff(handle, kind, kind === KIND.ERROR ? extras[a] : a, tellPutOff);
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

// Whether it had data in the batch that is handled now.
function hasNews(handle) {
  return handle.batch === batch;
}

// Whether bytes have come that Node, which reads less at a time, would have left in the kernel until now.
function hasUnread(handle) {
  let bytes = handle.news;
  for (let place = events[HANDLED] * NUMBERS; place < due * NUMBERS && bytes <= READ; place += NUMBERS) {
    if (events[place + 1] === handle.index) {
      bytes += lengthAt(place);
    }
  }
  return bytes > READ && bytes > handle.news;
}

// Its resource holds nothing, which is said to those who list what does.
native.start(run, events, extras, { hasRef: () => false }, runLate);
// What was written before process.exit() reaches the kernel, as with Node.
process.on('exit', native.exiting);

module.exports = { hasNews, hasUnread, native };
