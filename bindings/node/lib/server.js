// net.Server: it listens through the library, and gets its connections from there.
'use strict';

const { channel } = require('node:diagnostics_channel');
const dns = require('node:dns');
const EventEmitter = require('node:events');
const fs = require('node:fs');
const net = require('./node_net');
const { getDefaultHighWaterMark } = require('node:stream');
const { promisify } = require('node:util');
const { coded, fromNative, invalidType, invalidValue } = require('./errors');
const check = require('./validate');
const cluster = require('./cluster');
const { isPath, normalize, toNumber } = require('./arguments');
const { refuseArriving } = require('./arriving');
const { Handle, isCopy, tcpMethods } = require('./handle');
const { native } = require('./native');
const { Socket, kAccepted, kServer } = require('./socket');
const { drop } = require('./socket/leaving');

const serverSockets = channel('net.server.socket');
const listens = channel('tracing:net.server.listen:asyncStart');
const listening = channel('tracing:net.server.listen:asyncEnd');
const listenErrors = channel('tracing:net.server.listen:error');

function publish(where, message) {
  if (where.hasSubscribers) {
    where.publish(message);
  }
}

function Server(options, connectionListener) {
  if (!(this instanceof Server)) {
    return new Server(options, connectionListener);
  }
  EventEmitter.call(this);
  if (typeof options === 'function') {
    connectionListener = options;
    options = {};
  } else if (options === null || options === undefined) {
    options = {};
  } else if (typeof options !== 'object') {
    throw invalidType('options', 'of type object', options);
  }
  if (typeof connectionListener === 'function') {
    this.on('connection', connectionListener);
  }
  if (options.keepAliveInitialDelay !== undefined) {
    check.aNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay');
  }
  if (options.highWaterMark !== undefined) {
    check.aNumber(options.highWaterMark, 'options.highWaterMark');
  }
  this._connections = 0;
  this._handle = null;
  this._usingWorkers = false; // other processes have connections of it:
  this._workers = []; // these
  this._unref = false;
  this._listeningId = 1; // which listen()
  this.allowHalfOpen = options.allowHalfOpen || false;
  this.pauseOnConnect = Boolean(options.pauseOnConnect);
  this.noDelay = Boolean(options.noDelay);
  this.keepAlive = Boolean(options.keepAlive);
  this.keepAliveInitialDelay = Math.max(0, ~~(options.keepAliveInitialDelay / 1000));
  this.highWaterMark = options.highWaterMark < 0 ? getDefaultHighWaterMark(false) : options.highWaterMark ?? getDefaultHighWaterMark(false);
}
Object.setPrototypeOf(Server.prototype, EventEmitter.prototype);
Object.setPrototypeOf(Server, EventEmitter);

// http.Server and the like are servers as well.
Object.defineProperty(Server, Symbol.hasInstance, {
  value(instance) {
    return Function.prototype[Symbol.hasInstance].call(this, instance) || (this === Server && instance instanceof net.Server);
  },
});

// ---- Listening ----

Server.prototype.listen = function(...args) {
  const [given, callback] = normalize(args);
  let options = given;
  if (this._handle !== null) {
    throw coded(Error, 'ERR_SERVER_ALREADY_LISTEN', 'Listen method has been called more than once without closing.');
  }
  publish(listens, { server: this, options });
  if (callback !== null) {
    this.once('listening', callback);
  }
  // (port, host, backlog), (port, backlog), (path, backlog), (handle, backlog)
  const backlogArgument = toNumber(args.length > 1 && args[1]) || toNumber(args.length > 2 && args[2]);
  const handle = options instanceof Handle ? options : options._handle ?? options.handle;
  if (handle instanceof Handle) {
    share(this, handle);
    return this;
  }
  const isElses = handle !== null && typeof handle === 'object'; // a descriptor in a handle of somebody else's, who keeps it
  if (isElses) {
    options = handle;
  }
  heed(this, options);
  if (typeof options.fd === 'number' && options.fd >= 0) {
    listen(this, { fd: options.fd, copy: isElses || isCopy(options.fd), exclusive: isElses }, backlogArgument);
    if (isElses && this._handle instanceof Listener) {
      this._handle.takeFrom(handle);
    }
    return this;
  }
  const [first] = args;
  let { port } = options;
  if (args.length === 0 || typeof first === 'function' || (port === undefined && 'port' in options) || port === null) {
    port = 0;
    options.port = 0; // programs can see that
  }
  const backlog = options.backlog || backlogArgument;
  const exclusive = Boolean(options.exclusive);
  if (typeof port === 'number' || typeof port === 'string') {
    port = check.aPort(port, 'options.port');
    if (options.host) {
      lookUp(this, { port, exclusive, ipv6Only: options.ipv6Only === true }, options.host, backlog);
    } else {
      listen(this, { port, exclusive }, backlog);
    }
    return this;
  }
  if (options.path && isPath(options.path)) {
    const { path } = options;
    const readableAll = options.readableAll === true;
    const writableAll = options.writableAll === true;
    this._pipeName = path;
    if (path.startsWith('\0') && (readableAll || writableAll)) {
      throw invalidValue('options', options, 'can not set readableAll or writableAllt to true when path is abstract unix socket');
    }
    listen(this, { path, exclusive, readableAll, writableAll }, backlog);
    return this;
  }
  if (!('port' in options) && !('path' in options)) {
    throw invalidValue('options', options, 'must have the property "port" or "path"');
  }
  throw invalidValue('options', options);
};

// Another server's handle: who takes it last gets what comes, and it ends for both when one of them closes.
function share(server, handle) {
  server._listeningId++;
  server._handle = handle;
  handle.owner = server;
  publish(listening, { server });
  process.nextTick(tellListening, server);
}

// Until it is closed, the signal closes it.
function heed(server, options) {
  if (options?.signal === undefined) {
    return;
  }
  const { signal } = options;
  check.anAbortSignal(signal, 'options.signal');
  const close = () => server.close();
  if (signal.aborted) {
    process.nextTick(close);
  } else {
    signal.addEventListener('abort', close);
    server.once('close', () => signal.removeEventListener('abort', close));
  }
}

function lookUp(server, where, host, backlog) {
  const number = ++server._listeningId;
  dns.lookup(host, (error, address) => {
    if (server._listeningId !== number) {
      return; // closed meanwhile, or asked to listen elsewhere
    }
    if (error) {
      server.emit('error', error);
    } else {
      listen(server, { ...where, host: address }, backlog);
    }
  });
}

function listen(server, where, backlog) {
  const number = ++server._listeningId;
  server._connectionKey = keyOf(where);
  const usable = typeof backlog === 'number' && backlog > 0 && backlog < 2 ** 31 ? Math.trunc(backlog) : 0;
  const options = {
    paused: server.pauseOnConnect,
    pauseOnConnect: server.pauseOnConnect,
    noDelay: server.noDelay,
    keepAlive: server.keepAlive,
    keepAliveDelay: server.keepAliveInitialDelay * 1000,
  };
  if (cluster.isShared(where)) {
    cluster.listen(server, listeners, where, usable, options, (handle, address) => {
      if (server._listeningId === number) {
        opened(server, handle, address);
        publish(listening, { server });
        tellListening(server);
      } else {
        handle.close();
      }
    }, (error) => {
      if (server._listeningId === number) {
        publish(listenErrors, { server, error });
        server.emit('error', error);
      }
    });
    return;
  }
  const said = native.serverListen({ ...where, ...options, backlog: usable });
  if (said.index === undefined) {
    const error = fromNative(said, where.path);
    if (where.path !== undefined) {
      error.address = where.path;
      error.port = -1;
    } else if (where.fd !== undefined) {
      error.address = null;
    }
    publish(listenErrors, { server, error });
    process.nextTick(() => server.emit('error', error));
    return;
  }
  const handle = listenerFor(said, where, server, options);
  opened(server, handle, said.address);
  publish(listening, { server });
  process.nextTick(tellListening, server);
}

function placeOf(address, port, addressType, fd, flags) {
  if (typeof fd === 'number' && fd >= 0) {
    return { fd };
  }
  return port === -1 && addressType === -1 ? { path: address } :
    { host: address || undefined, port: port ?? 0, ipv6Only: Boolean(flags & 1) };
}

Server.prototype._listen2 = function(address, port, addressType, backlog, fd, flags) {
  listen(this, placeOf(address, port, addressType, fd, flags), backlog);
};

// net._createServerHandle(): a handle that other servers may listen with, or an error value.
function createServerHandle(address, port, addressType, fd, flags) {
  const where = placeOf(address, port, addressType, fd, flags);
  const said = native.serverListen({ ...where, backlog: 0 });
  if (said.index === undefined) {
    return said.errno;
  }
  const owner = new Server();
  const handle = listenerFor(said, where, owner, {});
  handle.address = said.address;
  return handle;
}

// Where it was asked to listen, in Node's notation.
function keyOf({ path, fd, host = '::', port }) {
  const type = path !== undefined || fd !== undefined ? -1 : native.isIP(host);
  return type === -1 ? `-1:${path ?? null}:-1` : `${type}:${host}:${port}`;
}

class Listener extends Handle {
  close(callback) {
    if (this.index >= 0) {
      this.closeCopy();
      refuseArriving(this);
      native.serverClose(this.index);
    }
    this.other?.close();
    if (typeof callback === 'function') {
      setImmediate(() => Reflect.apply(callback, this, []));
    }
  }

  // A server of Node's may listen on it: what that gets goes here, and it ends when this does.
  takeFrom(other) {
    if ('onconnection' in other) {
      this.other = other;
      other.onconnection = (status, connection) => {
        if (connection !== undefined) {
          cluster.receive(this, { _handle: connection, destroy: () => connection.close() });
        }
      };
    }
  }

  name(remote) {
    return remote ? undefined : this.address;
  }

  descriptor() {
    return native.serverDescriptor(this.index);
  }

  get resource() {
    return this.isPipe ? 'PipeWrap' : 'TCPServerWrap';
  }

  hold(holds) {
    if (this.index >= 0) {
      native.serverHold(this.index, holds);
    }
  }
}

const listenerKinds = { TCP: class TCP extends Listener {}, Pipe: class Pipe extends Listener {} }; // the names of Node's
Object.assign(listenerKinds.TCP.prototype, tcpMethods);

function listenerFor(said, where, server, options) {
  const isPipe = said.address === undefined || said.address[2] === 1;
  const Kind = isPipe ? listenerKinds.Pipe : listenerKinds.TCP;
  const handle = new Kind(where.path === undefined ? 'TCPSERVERWRAP' : 'PIPESERVERWRAP', server, listeners);
  handle.open(said.index);
  handle.options = options;
  handle.isPipe = isPipe;
  handle.path = where.path;
  return handle;
}

function opened(server, handle, address) {
  server._handle = handle;
  handle.address = address;
  if (server._unref) {
    handle.hold(false);
  }
}

// Also of a listen() that was closed, if there has been another since.
function tellListening(server) {
  if (server._handle !== null) {
    server.emit('listening');
  }
}

Server.prototype.address = function() {
  if (this._handle !== null && !this._handle.isPipe) {
    const [address, port, family] = this._handle.address;
    return { address, family: `IPv${family}`, port };
  }
  return this._pipeName ?? null;
};

Object.defineProperty(Server.prototype, 'listening', {
  get() {
    return this._handle !== null;
  },
  configurable: true,
  enumerable: true,
});

// ---- Connections ----

const listeners = { onConnection };

function onConnection(server, handle) {
  if (server.maxConnections && server._connections >= server.maxConnections) {
    const local = native.socketName(handle.index, false);
    const remote = native.socketName(handle.index, true);
    const data = local === undefined ? undefined : {
      localAddress: local[0], localPort: local[1], localFamily: `IPv${local[2]}`,
      remoteAddress: remote?.[0], remotePort: remote?.[1], remoteFamily: remote && `IPv${remote[2]}`,
    };
    drop(handle);
    server.emit('drop', ...(data === undefined ? [] : [data]));
    return;
  }
  const socket = new Socket({
    [kAccepted]: handle,
    allowHalfOpen: Boolean(server.allowHalfOpen),
    autoDestroy: true,
    decodeStrings: false,
    emitClose: false,
    pauseOnCreate: server.pauseOnConnect,
    readable: true,
    writable: true,
    readableHighWaterMark: server.highWaterMark,
    writableHighWaterMark: server.highWaterMark,
    noDelay: server.noDelay,
    keepAlive: server.keepAlive,
    keepAliveInitialDelay: server.keepAliveInitialDelay * 1000,
  });
  server._connections++;
  socket.server = server;
  socket._server = server;
  socket[kServer] = server;
  server.emit('connection', socket);
  publish(serverSockets, { socket });
}

// Node has a list for each process that got connections of this server, and asks there.
Server.prototype._setupWorker = function(list) {
  this._usingWorkers = true;
  this._workers.push(list);
  list.once('exit', () => {
    this._workers = this._workers.filter((one) => one !== list);
  });
};

Server.prototype.getConnections = function(callback) {
  check.aFunction(callback, 'callback');
  if (!this._usingWorkers) {
    process.nextTick(callback, null, this._connections);
    return this;
  }
  const counts = this._workers.map((list) => promisify(list.getConnections).call(list));
  Promise.all(counts).then((found) => found.reduce((sum, count) => sum + count, this._connections)).then(
    (sum) => process.nextTick(callback, null, sum), (error) => process.nextTick(callback, error));
  return this;
};

// ---- The end ----

Server.prototype.close = function(callback) {
  if (typeof callback === 'function') {
    if (this._handle === null) {
      this.once('close', () => {
        callback(coded(Error, 'ERR_SERVER_NOT_RUNNING', 'Server is not running.'));
      });
    } else {
      this.once('close', callback);
    }
  }
  this._listeningId++;
  if (this._handle !== null) {
    const handle = this._handle;
    this._handle = null;
    handle.close();
    removeFile(handle);
    setImmediate(() => {}); // a turn of the loop, as closing takes in Node
  }
  closeElsewhere(this);
  this._emitCloseIfDrained();
  return this;
};

// The library spares a file that somebody else has put in the place of ours, which Node does not.
function removeFile({ path }) {
  if (path !== undefined && !path.startsWith('\0')) {
    try {
      fs.unlinkSync(path);
    } catch {
      // it is gone already
    }
  }
}

// A process that has connections of this server counts as one of them until it has none.
function closeElsewhere(server) {
  for (const list of server._workers) {
    server._connections++;
    list.close(() => {
      server._connections--;
      server._emitCloseIfDrained();
    });
  }
}

Server.prototype._emitCloseIfDrained = function() {
  if (this._handle === null && this._connections === 0) {
    process.nextTick(() => this.emit('close'));
  }
};

Server.prototype[Symbol.asyncDispose] = async function() {
  if (this._handle !== null) {
    await promisify(this.close).call(this);
  }
};

Server.prototype[EventEmitter.captureRejectionSymbol] = function(error, event, socket) {
  if (event === 'connection') {
    socket.destroy(error);
  } else {
    this.emit('error', error);
  }
};

Server.prototype.ref = function() {
  this._unref = false;
  if (this._handle !== null) {
    this._handle.hold(true);
  }
  return this;
};

Server.prototype.unref = function() {
  this._unref = true;
  if (this._handle !== null) {
    this._handle.hold(false);
  }
  return this;
};

module.exports = { Server, createServerHandle };
