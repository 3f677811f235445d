// What a socket says of itself.
'use strict';

const { native } = require('../native');
const { kBytesRead, kDispatched, kPending } = require('./symbols');

function nameOf(handle, remote) {
  const name = handle.index < 0 ? undefined : native.socketName(handle.index, remote);
  return name === undefined ? {} :
    { address: name[0], family: `IPv${name[2]}`, port: name[1] };
}

const methods = {
  _getpeername() {
    if (this._handle === null || this.connecting) {
      return this._peername ?? {};
    }
    this._peername ??= nameOf(this._handle, true);
    return this._peername;
  },

  _getsockname() {
    if (this._handle === null) {
      return {};
    }
    this._sockname ??= nameOf(this._handle, false);
    return this._sockname;
  },

  address() {
    return this._getsockname();
  },
};

function lengthOf(chunk, encoding) {
  return typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length;
}

const getters = {
  remoteAddress() {
    return this._getpeername().address;
  },
  remoteFamily() {
    return this._getpeername().family;
  },
  remotePort() {
    return this._getpeername().port;
  },
  localAddress() {
    return this._getsockname().address;
  },
  localPort() {
    return this._getsockname().port;
  },
  localFamily() {
    return this._getsockname().family;
  },
  _connecting() {
    return this.connecting;
  },
  pending() {
    return this._handle === null || this.connecting;
  },
  readyState() {
    if (this.connecting) {
      return 'opening';
    }
    if (this.readable) {
      return this.writable ? 'open' : 'readOnly';
    }
    return this.writable ? 'writeOnly' : 'closed';
  },
  bufferSize() {
    return this._handle === null ? undefined : this.writableLength;
  },
  bytesRead() {
    return this[kBytesRead];
  },
  _bytesDispatched() {
    return this[kDispatched];
  },
  bytesWritten() {
    const state = this._writableState;
    if (!state) {
      return undefined;
    }
    let bytes = this[kDispatched];
    for (const { chunk, encoding } of state.getBuffer()) {
      bytes += lengthOf(chunk, encoding);
    }
    const pending = this[kPending];
    if (pending !== null) {
      bytes += lengthOf(pending.data, pending.encoding);
    }
    return bytes;
  },
};

const hidden = ['_connecting', 'bufferSize', 'pending', 'readyState'];

function define(prototype) {
  Object.assign(prototype, methods);
  for (const [name, get] of Object.entries(getters)) {
    Object.defineProperty(prototype, name, { get, configurable: name === 'pending', enumerable: !hidden.includes(name) });
  }
}

module.exports = { define };
