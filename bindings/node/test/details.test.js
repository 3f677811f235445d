// Things that few programs need, and that those which do need exactly.
'use strict';

const { once } = require('node:events');
const fs = require('node:fs');
const { inspect } = require('node:util');
const { setTimeout: wait } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');
const { closed, compare } = require('./compare');

compare('details', {
  async 'a server that listens on what another has'({ note, net }) {
    const first = net.createServer((socket) => socket.end('first')).listen(0, '127.0.0.1');
    await once(first, 'listening');
    const second = net.createServer((socket) => socket.end('second'));
    note(second.listen(first) === second, second.listening, second.address().port === first.address().port);
    await once(second, 'listening');
    note(String((await net.connect(first.address().port, '127.0.0.1').toArray())[0]));
    first.close();
    second.close();
    await once(second, 'close');
    note(first.listening, second.listening);
  },
  async 'a drop on a path has no addresses'({ note, net, listen, folder }) {
    const { server } = await listen({}, () => {}, `${folder}/socket`);
    server.maxConnections = -1;
    server.on('drop', (...data) => note('drop', data.length));
    await closed(net.connect(`${folder}/socket`).on('error', () => {}).resume());
    server.close();
  },
  async 'paths with a zero byte in errors'({ note, net }) {
    const path = `\0troupe-details-${process.pid}`;
    const client = net.connect({ path });
    client.on('error', (failure) => note(failure));
    await closed(client);
    const server = net.createServer().listen(path);
    await once(server, 'listening');
    const other = net.createServer().listen(path);
    note((await once(other, 'error').catch((failure) => [failure]))[0]);
    server.close();
  },
  async 'an address that is not of the family which was said'({ note, net }) {
    const client = net.connect({ port: 9, host: 'some.name', autoSelectFamily: false, lookup: (host, options, callback) =>
      setImmediate(callback, null, '127.0.0.1', 6) });
    client.on('connectionAttempt', (...values) => note(...values));
    client.on('error', (failure) => note(failure));
    client.on('close', (hadError) => note('close', hadError));
    await closed(client);
  },
  async 'onread: a callback that pauses gets the rest before the end'({ note, net, listen }) {
    const { server, port } = await listen({}, (socket) => socket.end('hello world'));
    const client = net.connect({ port, host: '127.0.0.1', onread: { buffer: Buffer.alloc(3), callback(length, bytes) {
      note(bytes.toString('latin1', 0, length));
      client.pause();
      setImmediate(() => client.resume());
    } } });
    client.on('end', () => note('end'));
    await closed(client);
    server.close();
  },
  async 'connect() takes what net.connect() made of its arguments, and nobody else does'({ note, net }) {
    const normalized = net._normalizeArgs([{ port: 1, host: '127.0.0.1' }]);
    note(net._normalizeArgs([normalized]) === normalized, net._normalizeArgs.name, net._setSimultaneousAccepts.name);
    const client = new net.Socket().connect(normalized);
    note((await once(client, 'error').catch((failure) => [failure]))[0]);
    try {
      net.connect(normalized);
    } catch (failure) {
      note(failure);
    }
  },
  async 'a socket is connected again in the tick in which it is destroyed'({ note, net, listen, watch }) {
    for (const failure of [undefined, new Error('mine')]) {
      const { server, port } = await listen({}, (socket) => socket.on('error', () => {}).end('hello'));
      const client = net.connect(port, '127.0.0.1');
      let heard;
      client.on('data', () => heard());
      await new Promise((resolve) => {
        heard = resolve;
      });
      watch('client', client, 'error', 'connect', 'ready');
      client.destroy(failure);
      client.connect(port, '127.0.0.1');
      note(client.destroyed, client.readyState);
      await new Promise((resolve) => {
        heard = resolve;
      });
      client.destroy();
      await closed(client);
      server.close();
    }
  },
  async 'local ports that there are none of, and a second local address'({ note, net, listen }) {
    const { server, port } = await listen({}, (socket) => socket.destroy());
    for (const [localPort, localAddress] of [[65536], [70000, '127.0.0.1'], [Infinity], [2 ** 32, '::1']]) {
      const client = net.connect({ port, host: '127.0.0.1', localPort, localAddress });
      client.on('connectionAttempt', () => note('attempt'));
      note((await once(client, 'error').catch((failure) => [failure]))[0], client.destroyed);
    }
    const client = net.connect({ port, host: '127.0.0.1', localAddress: '127.0.0.1' });
    client.connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2', localPort: 0 });
    note((await once(client, 'error').catch((failure) => [failure]))[0]);
    server.close();
  },
  async 'what handles are called, and what they can be asked'({ note, net, pair, folder, listen }) {
    const { client, socket } = await pair();
    const handle = client._handle;
    const [local, remote] = [{}, {}];
    note(handle.constructor.name, handle.getsockname(local), handle.getpeername(remote));
    note(local.address, local.family, local.port === client.localPort, remote.port === client.remotePort);
    note(handle.setNoDelay(true), handle.setKeepAlive(true, 1), handle.bytesRead, handle.bytesWritten);
    client.write('hello');
    socket.end('good bye');
    await closed(client.resume());
    note(handle.bytesRead, handle.bytesWritten);
    const { server, port } = await listen({}, () => {});
    note(server._handle.constructor.name, server._handle.getsockname(local), local.port === port);
    server._handle.close(() => note('closed'));
    await wait(20);
    const other = await listen({}, (accepted) => {
      note(accepted._handle.constructor.name);
      accepted.end();
    }, `${folder}/socket`);
    const visitor = net.connect(`${folder}/socket`);
    note(visitor._handle.constructor.name, typeof visitor._handle.getpeername, other.server._handle.constructor.name);
    await closed(visitor.resume());
    other.server.close();
  },
  async 'methods that Node has beside those it documents'({ note, net, pair, watch }) {
    const { client, socket } = await pair();
    watch('server', socket, 'data', 'error', 'close');
    client.on('timeout', () => note('timeout')).setTimeout(10000);
    client._onTimeout();
    client._unrefTimer();
    client._writeGeneric(false, 'one', 'latin1', (failure) => note(failure ?? 'written'));
    client._writeGeneric(true, [{ chunk: 'two', encoding: 'utf8' }, { chunk: Buffer.from('3'), encoding: 'buffer' }], '',
      (failure) => note(failure ?? 'written'));
    await once(socket, 'data');
    note(client._reset() === client);
    await closed(socket);
    const server = net.createServer();
    server._listen2('127.0.0.1', 0, 4, 5);
    await once(server, 'listening');
    note(server.address().address);
    server.close();
  },
  async 'a server that listens on what one of Node\'s own listens on gets all connections'({ note, net }) {
    const given = require('node:net').createServer(() => note('not here')).listen(0, '127.0.0.1');
    await once(given, 'listening');
    const server = net.createServer((socket) => socket.end('here')).listen(given);
    await once(server, 'listening');
    for (let i = 0; i < 20; i++) {
      note(String((await net.connect(given.address().port, '127.0.0.1').toArray())[0]));
    }
    const { port } = server.address();
    server.close();
    const late = net.connect(port, '127.0.0.1');
    note((await once(late, 'connect').catch((failure) => [failure.code]))[0]);
  },
  async 'look-ups that find nothing'({ note, net, listen }) {
    const { server, port } = await listen({}, (socket) => socket.destroy());
    const answers = [[], [null], [null, null], [null, []], [null, 5], [null, {}], [null, [null]], [null, [{}]], [false], [null, '']];
    for (const autoSelectFamily of [true, false]) {
      for (const answer of answers) {
        const lookup = (host, options, found) => {
          try {
            found(...answer);
          } catch (failure) {
            note(answer.length, failure);
          }
        };
        const client = net.connect({ port, host: 'some.host', autoSelectFamily, lookup });
        client.on('error', (failure) => note(answer.length, failure));
        await new Promise(setImmediate);
        note(client.destroyed);
        client.destroy();
      }
    }
    server.close();
  },
  async 'an end that is reset reaches the peer as an end'({ note, pair, watch }) {
    const { client, socket } = await pair();
    watch('server', socket.resume(), 'end', 'error', 'close');
    client.end();
    await once(client, 'finish');
    client.resetAndDestroy();
    await closed(socket);
  },
  async 'descriptors of handles'({ note, net, pair }) {
    const { client, socket } = await pair();
    note(client._handle.fd > 2, socket._handle.fd > 2, client._handle.fd === client._handle.fd, client._handle.hasRef());
    client._handle.unref();
    note(client._handle.hasRef());
    client.end();
    await Promise.all([closed(client.resume()), closed(socket.resume())]);
    note(client._handle, socket._handle);
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    note(server._handle.fd > 2);
    server.close();
    server.listen(port, '127.0.0.1'); // which is free
    await once(server, 'listening');
    server.close();
  },
  async 'handles that are active'({ note, net, pair }) {
    const { client, socket } = await pair();
    const names = () => process.getActiveResourcesInfo().includes('TCPSocketWrap');
    const listed = (one) => process._getActiveHandles().includes(one);
    note(listed(client), listed(socket), names());
    client.unref();
    note(listed(client), listed(socket));
    socket.destroy();
    note(listed(socket));
    client.ref().resume();
    await closed(client);
    note(listed(client));
    await wait(20);
    note(listed(socket));
    const server = net.createServer().listen(0);
    server.close();
    note(listed(server));
    await once(server, 'close');
    await wait(20);
    note(listed(server));
  },
  async 'connect() while it connects'({ note, net, listen }) {
    const { server, port } = await listen({}, (socket) => socket.on('error', () => {}).resume());
    const client = net.connect(port, '127.0.0.1');
    client.on('connectionAttempt', (address, to, family) => note('attempt', address, to === port, family));
    client.on('error', ({ code, syscall, address, port: to }) => note(code, syscall, address, to === port));
    client.on('close', (hadError) => note('close', hadError));
    client.connect(port, '127.0.0.1');
    await closed(client);
    server.close();
  },
  async 'an observer of connections'({ note, pair }) {
    const { PerformanceEntry, PerformanceObserver } = require('node:perf_hooks');
    const { host, port } = await new Promise((resolve) => {
      const observer = new PerformanceObserver(async (list, self) => {
        const { client, socket } = await made;
        const [entry] = list.getEntriesByName('connect', 'net').filter(({ detail }) => detail.port === client.remotePort);
        if (entry !== undefined) {
          note(self === observer, entry instanceof PerformanceEntry, entry.name, entry.entryType, entry.startTime > 0, entry.duration > 0);
          note(Object.keys(entry.toJSON()));
          observer.disconnect();
          client.destroy();
          socket.destroy();
          resolve(entry.detail);
        }
      });
      observer.observe({ type: 'net' });
      const made = pair();
    });
    note(host, port > 0);
  },
  async 'an abstract path has no rights'({ note, net }) {
    for (const rights of [{ readableAll: true }, { writableAll: true }]) {
      const server = net.createServer();
      try {
        server.listen({ path: '\0troupe-details-rights', ...rights });
      } catch (failure) {
        note(failure, server.listening);
      }
    }
  },
  async 'connect() while it is connected'({ note, listen, net }) {
    const { server, port } = await listen({}, (socket) => socket.resume());
    const client = net.connect(port, '127.0.0.1');
    await once(client, 'connect');
    client.connect(port, '127.0.0.1', () => note('connect', client.connecting));
    await once(client, 'ready');
    note(client.readyState, client.destroyed);
    client.end();
    await closed(client.resume());
    server.close();
    await once(server, 'close');
  },
  async 'what createServer() takes'({ note, net }) {
    for (const given of [[{ highWaterMark: -1 }], [{ highWaterMark: 0 }], [{}, 5], [null, () => {}], [[]]]) {
      const server = net.createServer(...given);
      note(server.highWaterMark, server.listenerCount('connection'));
    }
  },
  async 'where a server was asked to listen'({ note, net, folder }) {
    for (const where of [[0], [0, '127.0.0.1'], [0, '::1'], [`${folder}/socket`]]) {
      const server = net.createServer().listen(...where);
      await once(server, 'listening');
      note(server._connectionKey, server._pipeName ?? 'no path');
      server.close();
    }
  },
  async 'how lists and addresses are shown'({ note, net }) {
    const list = new net.BlockList();
    list.addAddress('1.1.1.1');
    for (const depth of [-1, 0, 1, null]) {
      note(inspect(list, { depth }), inspect(new net.SocketAddress(), { depth }), inspect({ list }, { depth }));
    }
    note(list, Object.keys(list));
  },
  async 'lists and addresses are cloned, and sent to workers'({ note, net }) {
    const list = new net.BlockList();
    list.addAddress('1.2.3.4');
    list.addRange('::1', '::9', 'ipv6');
    list.addSubnet(new net.SocketAddress({ address: '10.0.0.0' }), 8);
    for (const add of [() => list.addAddress('x'), () => list.addRange('2.0.0.0', '1.0.0.0'), () => list.addSubnet('::', 129, 'ipv6')]) {
      try {
        add();
      } catch (failure) {
        note(failure.code);
      }
    }
    const copy = structuredClone(list);
    list.addAddress('5.5.5.5');
    note(copy instanceof net.BlockList, copy.rules, ['1.2.3.4', '10.1.1.1', '5.5.5.5'].map((address) => copy.check(address)));
    note(copy.check('::5', 'ipv6'), inspect(copy));
    const address = structuredClone(new net.SocketAddress({ address: '::2', family: 'ipv6', port: 7, flowlabel: 9 }));
    note(address instanceof net.SocketAddress, net.SocketAddress.isSocketAddress(address), address.toJSON(), list.check(address));
    const worker = new Worker(`const { parentPort, workerData: { list, address } } = require('node:worker_threads');
      parentPort.postMessage([list.check('10.2.3.4'), address.address]);`, { eval: true, workerData: { list, address } });
    note((await once(worker, 'message'))[0]);
    class Mine extends net.BlockList {}
    note(new Mine() instanceof Mine, list instanceof Mine, new Mine() instanceof net.BlockList, {} instanceof net.BlockList);
  },
  async 'errors as text, as JSON, and what they are made of'({ note, net }) {
    const errors = [];
    for (const make of [() => net.connect(), () => net.connect(-1), () => net.connect({ port: 1, host: 5 })]) {
      try {
        make();
      } catch (failure) {
        errors.push(failure);
      }
    }
    errors.push(await new Promise((resolve) => net.connect(1, '127.0.0.1').on('error', resolve)));
    errors.push(await new Promise((resolve) => net.createServer().listen(0, '203.0.113.1').on('error', resolve)));
    errors.push(await new Promise((resolve) => new net.Socket().on('error', resolve).write('x')));
    errors.push(await new Promise((resolve) => net.connect({ port: 1, host: 'some.name', lookup: (host, options, callback) =>
      callback(null, [{ address: '127.0.0.1', family: 4 }, { address: '127.0.0.2', family: 4 }]) }).on('error', resolve)));
    for (const failure of errors) {
      note(String(failure), JSON.stringify(failure), Object.keys(failure), failure.constructor.name);
      note(failure.stack.split('\n')[0], Object.getOwnPropertyNames(failure).sort());
    }
  },
  async 'a socket after a connect() that throws'({ note, net, listen }) {
    const { server, port } = await listen({}, (socket) => socket.end('well'));
    const socket = new net.Socket();
    for (const given of [[], [-1], [{ port: 1, lookup: 'x' }], [{ port: 1, localAddress: 'x' }]]) {
      try {
        socket.connect(...given);
      } catch (failure) {
        note(failure.code, socket.destroyed, socket.pending);
      }
    }
    socket.connect(port, '127.0.0.1');
    note(String((await socket.toArray())[0]));
    server.close();
  },
  async 'the timeout of what is forgotten'({ note, pair }) {
    const { client, socket } = await pair();
    client.setTimeout(15);
    socket.setTimeout(15);
    socket.setTimeout(0);
    client.on('timeout', () => note('timeout', client.timeout));
    socket.on('timeout', () => note('never'));
    await once(client, 'timeout');
    await wait(30);
    client.destroy();
    socket.destroy();
  },
  async 'a file that somebody has put in the place of a server'({ note, listen, folder }) {
    const path = `${folder}/socket`;
    const { server } = await listen({}, () => {}, path);
    fs.unlinkSync(path);
    fs.writeFileSync(path, 'not yours');
    server.close();
    note(fs.existsSync(path));
    const { server: other } = await listen({}, () => {}, path);
    fs.unlinkSync(path);
    other.close();
    await closed(other);
    note(fs.existsSync(path));
  },
  async 'listen() without a port tells its options'({ note, net }) {
    const options = { port: undefined, host: '127.0.0.1' };
    const server = net.createServer().listen(options);
    note(options);
    await once(server, 'listening');
    server.close();
    await closed(server);
  },
  async 'limits that are no numbers'({ note, net }) {
    for (const highWaterMark of [NaN, -1, 0, 1.5, Infinity, undefined]) {
      note(String(net.createServer({ highWaterMark }).highWaterMark));
    }
  },
  async 'a socket of the handle of another one'({ note, pair, watch }) {
    const { client, socket, server } = await pair({ pauseOnConnect: true });
    const other = new socket.constructor({ handle: socket._handle, allowHalfOpen: true });
    note(other._handle === socket._handle, other.readyState, other.remotePort === client.localPort, other.connecting);
    watch('other', other, 'data', 'end', 'close');
    watch('socket', socket, 'data', 'end');
    watch('client', client, 'data');
    client.end('question');
    await once(other, 'end');
    other.end('answer');
    await Promise.all([closed(client), closed(other)]);
    note(socket.destroyed, server._connections);
    socket.destroy();
    note(server._connections);
  },
  async 'a socket of a handle of Node\'s own'({ note, net, watch }) {
    const server = require('node:net').createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = net.connect(server.address().port, '127.0.0.1');
    const [given] = await once(server, 'connection');
    const socket = new net.Socket({ handle: given._handle });
    watch('socket', socket, 'data', 'end', 'close');
    client.end('said');
    await closed(socket);
    server.close();
  },
  async 'a handle that is no handle'({ note, net }) {
    for (const handle of [5, 'x', true]) {
      try {
        note(new net.Socket({ handle }));
      } catch (failure) {
        note(failure);
      }
    }
    note(new net.Socket({ handle: null }).pending, new net.Socket({ handle: 0 }).pending);
  },
  async 'what waits for a connection'({ note, net, listen }) {
    const { server, port } = await listen({}, (socket) => socket.resume().end());
    const client = net.connect(port, '127.0.0.1').resume();
    note(client._pendingData, client._pendingEncoding);
    client.write('early', 'latin1');
    note(client._pendingData, client._pendingEncoding);
    await once(client, 'connect');
    note(client._pendingData, client._pendingEncoding);
    server.close();
    await closed(client);
  },
  async 'a class with a write() of its own'({ note, net, listen }) {
    class Shouting extends net.Socket {
      write(text, ...more) {
        note('write');
        return super.write(text.toUpperCase(), ...more);
      }
    }
    const { server, port } = await listen({}, (socket) => socket.on('data', (bytes) => note(String(bytes))));
    const client = new Shouting();
    client.on('error', (failure) => note(failure));
    client.connect(port, '127.0.0.1');
    note(Object.hasOwn(client, 'write'));
    client.end('quiet');
    client.resume();
    server.close();
    await closed(server);
  },
  async 'listen() in the turn of a listen() that was closed'({ note, net, watch }) {
    const server = net.createServer();
    watch('server', server, 'listening', 'close');
    server.listen(0);
    server.close();
    server.listen(0, () => note('at once', server.listening));
    await once(server, 'close');
    await new Promise(setImmediate);
    server.close();
    await once(server, 'close');
  },
  async 'what is no address at all'({ note, net }) {
    for (const localAddress of [{}, [], { toString: 1 }, 5]) {
      try {
        net.connect({ port: 1, localAddress }).destroy();
      } catch (failure) {
        note(failure);
      }
    }
    note(Object.keys(net.createServer()));
  },
  async 'the names of what there is'({ note, net }) {
    note(Object.keys(net));
    const handle = net._createServerHandle('127.0.0.1', 0, 4);
    const server = net.createServer((socket) => socket.end('x')).listen(handle);
    await once(server, 'listening');
    const { address, family, port } = server.address();
    note(address, family, String((await net.connect(port, '127.0.0.1').toArray())[0]));
    server.close();
  },
});
