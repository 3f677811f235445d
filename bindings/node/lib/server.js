// net.Server: it listens through the library, and gets its connections from there.
'use strict';

const { channel } = require('node:diagnostics_channel');
const dns = require('node:dns');
const EventEmitter = require('node:events');
const { getDefaultHighWaterMark } = require('node:stream');
const { promisify } = require('node:util');
const { coded, fromNative, invalidType, invalidValue } = require('./errors');
const check = require('./validate');
const { isPath, normalize, toNumber } = require('./arguments');
const { Handle, native } = require('./native');
const { Socket, kServer } = require('./socket');

const serverSockets = channel('net.server.socket');
const listens = channel('tracing:net.server.listen:asyncStart');
const listening = channel('tracing:net.server.listen:asyncEnd');
const listenErrors = channel('tracing:net.server.listen:error');

function publish(where, message) {
  if (where.hasSubscribers) {
    where.publish(message);
  }
}

const kListen = Symbol('which listen');
const kAbort = Symbol('stops listening to a signal');

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
  if (connectionListener !== undefined && connectionListener !== null) {
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
  this._unref = false;
  this._pipeName = undefined;
  this._address = undefined;
  this._connectionKey = undefined;
  this[kListen] = 0;
  this[kAbort] = null;
  this.allowHalfOpen = options.allowHalfOpen || false;
  this.pauseOnConnect = Boolean(options.pauseOnConnect);
  this.noDelay = Boolean(options.noDelay);
  this.keepAlive = Boolean(options.keepAlive);
  this.keepAliveInitialDelay = Math.max(0, ~~(options.keepAliveInitialDelay / 1000));
  this.highWaterMark = options.highWaterMark ?? getDefaultHighWaterMark(false);
}
Object.setPrototypeOf(Server.prototype, EventEmitter.prototype);
Object.setPrototypeOf(Server, EventEmitter);

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
    this._listen({ like: handle.index }, backlogArgument);
    return this;
  }
  if (handle !== null && typeof handle === 'object') {
    options = handle; // a descriptor in a handle of somebody else's
  }
  this._heed(options);
  if (typeof options.fd === 'number' && options.fd >= 0) {
    this._listen({ fd: options.fd }, backlogArgument);
    return this;
  }
  const [first] = args;
  let { port } = options;
  if (args.length === 0 || typeof first === 'function' || (port === undefined && 'port' in options) || port === null) {
    port = 0;
  }
  const backlog = options.backlog || backlogArgument;
  const exclusive = Boolean(options.exclusive);
  if (typeof port === 'number' || typeof port === 'string') {
    port = check.aPort(port, 'options.port');
    if (options.host) {
      this._lookUp({ port, exclusive, ipv6Only: options.ipv6Only === true }, options.host, backlog);
    } else {
      this._listen({ port, exclusive }, backlog);
    }
    return this;
  }
  if (options.path && isPath(options.path)) {
    this._pipeName = options.path;
    this._listen({
      path: options.path,
      exclusive,
      readableAll: options.readableAll === true,
      writableAll: options.writableAll === true,
    }, backlog);
    return this;
  }
  if (!('port' in options) && !('path' in options)) {
    throw invalidValue('options', options, 'must have the property "port" or "path"');
  }
  throw invalidValue('options', options);
};

// Until it is closed, the signal closes it.
Server.prototype._heed = function(options) {
  if (options?.signal === undefined) {
    return;
  }
  const { signal } = options;
  check.anAbortSignal(signal, 'options.signal');
  const close = () => this.close();
  if (signal.aborted) {
    process.nextTick(close);
  } else {
    signal.addEventListener('abort', close);
    this.once('close', () => signal.removeEventListener('abort', close));
  }
};

Server.prototype._lookUp = function(where, host, backlog) {
  const number = ++this[kListen];
  dns.lookup(host, (error, address) => {
    if (this[kListen] !== number) {
      return; // closed meanwhile, or asked to listen elsewhere
    }
    if (error) {
      this.emit('error', error);
    } else {
      this._listen({ ...where, host: address }, backlog);
    }
  });
};

Server.prototype._listen = function(where, backlog) {
  this[kListen]++;
  const said = native.serverListen({
    ...where,
    backlog: typeof backlog === 'number' && backlog > 0 && backlog < 2 ** 31 ? Math.trunc(backlog) : 0,
    pauseOnConnect: this.pauseOnConnect,
    noDelay: this.noDelay,
    keepAlive: this.keepAlive,
    keepAliveDelay: this.keepAliveInitialDelay * 1000,
  });
  if (said.index === undefined) {
    const error = fromNative(said);
    if (where.path !== undefined) {
      error.address = where.path;
      error.port = -1;
    } else if (where.fd !== undefined) {
      error.address = null;
    }
    publish(listenErrors, { server: this, error });
    process.nextTick(() => this.emit('error', error));
    return;
  }
  const handle = new Handle('TROUPESERVER', this);
  handle.open(said.index);
  handle.isPipe = said.address === undefined || said.address[2] === 1;
  this._handle = handle;
  this._address = said.address;
  if (this._unref) {
    native.serverHold(handle.index, false);
  }
  process.nextTick(() => {
    if (this._handle === handle) {
      publish(listening, { server: this });
      this.emit('listening');
    }
  });
};

Server.prototype.address = function() {
  if (this._handle !== null && !this._handle.isPipe) {
    const [address, port, family] = this._address;
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

Server.prototype._onConnection = function(handle) {
  if (this.maxConnections && this._connections >= this.maxConnections) {
    const local = native.socketName(handle.index, false);
    const remote = native.socketName(handle.index, true);
    const data = local === undefined ? undefined : {
      localAddress: local[0], localPort: local[1], localFamily: `IPv${local[2]}`,
      remoteAddress: remote?.[0], remotePort: remote?.[1], remoteFamily: remote && `IPv${remote[2]}`,
    };
    handle.owner = dropped;
    native.socketDestroy(handle.index);
    this.emit('drop', data);
    return;
  }
  const socket = new Socket({
    accepted: handle,
    allowHalfOpen: this.allowHalfOpen,
    pauseOnCreate: this.pauseOnConnect,
    readable: true,
    writable: true,
    readableHighWaterMark: this.highWaterMark,
    writableHighWaterMark: this.highWaterMark,
    noDelay: this.noDelay,
    keepAlive: this.keepAlive,
    keepAliveInitialDelay: this.keepAliveInitialDelay * 1000,
  });
  this._connections++;
  socket.server = this;
  socket._server = this;
  socket[kServer] = this;
  this.emit('connection', socket);
  publish(serverSockets, { socket });
};

// Whoever owns a connection that nobody got.
const dropped = {
  _onData() {},
  _onEnd() {},
  _onError() {},
  _onTimeout() {},
  _onClose(handle) {
    const { index } = handle;
    handle.forget();
    native.socketFree(index);
  },
};

Server.prototype.getConnections = function(callback) {
  check.aFunction(callback, 'callback');
  process.nextTick(callback, null, this._connections);
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
  this[kListen]++;
  if (this._handle !== null) {
    const { index } = this._handle;
    this._handle = null;
    native.serverClose(index);
  }
  this._emitCloseIfDrained();
  return this;
};

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
    native.serverHold(this._handle.index, true);
  }
  return this;
};

Server.prototype.unref = function() {
  this._unref = true;
  if (this._handle !== null) {
    native.serverHold(this._handle.index, false);
  }
  return this;
};

module.exports = { Server };
