// Listening in a worker of Node's cluster: the primary process has the address, and deals out connections, or shares what
// listens. Node's own server does that, and each connection comes over to the library as a descriptor.
'use strict';

const net = require('./node_net');
const { Handle, handleFor } = require('./handle');
const { native } = require('./native');

// What a Server has for a handle there.
class Door extends Handle {
  constructor(server, listeners, door) {
    super('TCPSERVERWRAP', server, listeners);
    this.door = door;
  }

  close() {
    net.Server.prototype.close.call(this.door);
  }

  hold(holds) {
    (holds ? this.door.ref : this.door.unref).call(this.door);
  }
}

// A connection that Node got, for the server of a handle.
function receive(handle, given) {
  const index = native.socketAdopt(given._handle.fd, true, true, handle.options, true);
  given.destroy();
  if (index < 0) {
    return;
  }
  if (handle.owner._handle !== handle) {
    native.socketDestroy(index); // it came while the server was closed
    return;
  }
  const accepted = handleFor(handle.isPipe, null, null);
  accepted.open(index);
  handle.runInAsyncScope(handle.listeners.onConnection, undefined, handle.owner, accepted);
}

function isShared(where) {
  return !where.exclusive && require('node:cluster').isWorker;
}

// Calls `opened(handle, address)` or `failed(error)`, later.
function listen(server, listeners, where, backlog, options, opened, failed) {
  const door = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  const handle = new Door(server, listeners, door);
  // The primary offers a connection to another worker when this one has enough; none of them stays with the door.
  Object.defineProperty(door, 'maxConnections', {
    get: () => (server.maxConnections && server._connections >= server.maxConnections ? -1 : undefined),
  });
  handle.options = options;
  door.on('connection', (given) => receive(handle, given));
  door.on('drop', (data) => server.emit('drop', data));
  // A worker that disconnects closes its servers, and waits for their connections.
  door.close = (callback) => {
    if (server._handle === handle) {
      server.close(callback);
    } else {
      net.Server.prototype.close.call(door, callback);
    }
  };
  door.once('error', failed);
  door.listen({ ...where, backlog }, () => {
    door.removeListener('error', failed);
    const address = door.address();
    handle.isPipe = address === null || typeof address === 'string';
    opened(handle, handle.isPipe ? undefined : [address.address, address.port, address.family === 'IPv6' ? 6 : 4]);
  });
}

module.exports = { isShared, listen, receive };
