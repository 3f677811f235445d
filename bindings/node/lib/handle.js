// Handles, of sockets and servers.
'use strict';

const { AsyncResource } = require('node:async_hooks');
const fs = require('node:fs');
const native = require('./load');

const handles = []; // by index
const copies = new Set(); // descriptors that handles have open for others
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

  // So that a socket can be made JSON, as Node's can.
  toJSON() {
    return { reading: this.reading };
  }

  open(index) {
    this.index = index;
    handles[index] = this;
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

function isCopy(fd) {
  return copies.has(fd);
}

// Those of this thread that are open.
function openHandles() {
  return handles.filter((handle) => handle !== undefined);
}

module.exports = { Handle, handleFor, handles, isCopy, openHandles, resourceOf, tcpMethods };
