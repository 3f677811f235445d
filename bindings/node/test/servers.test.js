// Servers in programs as people write them for Node's net: what they note must be the same with ours.
'use strict';

const assert = require('node:assert');
const { once } = require('node:events');
const fs = require('node:fs');
const { setTimeout: wait, setImmediate: turn } = require('node:timers/promises');
const { closed, compare } = require('./compare');

const programs = {
  async 'listen() without a host answers at once'({ note, net }) {
    const server = net.createServer();
    note(server.listening, server.address());
    note(server.listen(0) === server, server.listening, server.address().family, server.address().port > 0);
    server.on('listening', () => note('listening'));
    note('after');
    await once(server, 'listening');
    server.close(() => note('closed'));
    note(server.listening, server.address());
    await once(server, 'close');
  },
  async 'listen() with a host answers later'({ note, net }) {
    const server = net.createServer().listen(0, '127.0.0.1');
    note(server.listening);
    await once(server, 'listening');
    note(server.listening, server.address().address);
    server.close();
  },
  async 'an address in use'({ note, listen, net, watch }) {
    const { server, port } = await listen();
    const other = net.createServer();
    watch('other', other, 'listening', 'error', 'close');
    other.listen(port, '127.0.0.1');
    const [failure] = await once(other, 'error').catch((e) => [e]);
    note(failure, other.listening);
    server.close();
    await once(server, 'close');
    other.listen(port, '127.0.0.1');
    await once(other, 'listening');
    other.close();
    await once(other, 'close');
  },
  async 'errors of listening'({ note, net, folder }) {
    for (const where of [[{ host: '203.0.113.1', port: 0 }], [`${folder}/no/such`], [folder], [{ fd: 9999 }]]) {
      const server = net.createServer().listen(...where);
      const [failure] = await once(server, 'error').catch((e) => [e]);
      note(failure, server.listening);
    }
  },
  async 'closed although it does not listen'({ note, net }) {
    const server = net.createServer();
    server.on('close', () => note('close'));
    server.close((failure) => note(failure));
    await once(server, 'close');
    await server[Symbol.asyncDispose]();
    note('disposed');
  },
  async 'close waits for connections'({ note, listen, net }) {
    const { server, port } = await listen({}, (socket) => socket.resume());
    const client = net.connect(port, '127.0.0.1');
    await Promise.all([once(client, 'connect'), once(server, 'connection')]);
    let closed = false;
    server.close(() => {
      closed = true;
    });
    const count = () => new Promise((resolve) => server.getConnections((failure, number) => resolve(number)));
    await wait(30);
    note(closed, server.listening, await count());
    const refused = net.connect(port, '127.0.0.1');
    const [failure] = await once(refused, 'error').catch((e) => [e]);
    note(failure.code);
    client.end();
    await once(server, 'close');
    note(closed, await count());
  },
  async 'maxConnections and drop'({ note, listen, net }) {
    const { server, port } = await listen({}, (socket) => socket.resume().on('error', () => {}));
    server.maxConnections = 1;
    const first = net.connect(port, '127.0.0.1');
    await Promise.all([once(first, 'connect'), once(server, 'connection')]);
    const second = net.connect(port, '127.0.0.1');
    const [drop] = await once(server, 'drop');
    note(Object.keys(drop), drop.localPort === port, drop.localAddress, drop.localFamily, drop.remoteAddress, drop.remoteFamily, drop.remotePort > 0);
    await closed(second.on('error', () => {}).resume());
    first.end();
    await once(first.resume(), 'close');
    const third = net.connect(port, '127.0.0.1');
    await Promise.all([once(server, 'connection'), once(third, 'connect')]);
    third.destroy();
    server.close();
  },
  async 'a signal for listen'({ note, net, watch }) {
    const controller = new AbortController();
    const server = net.createServer();
    watch('server', server, 'listening', 'close', 'error');
    server.listen({ port: 0, signal: controller.signal });
    await once(server, 'listening');
    controller.abort();
    await once(server, 'close');
    server.listen({ port: 0, signal: AbortSignal.abort() });
    await once(server, 'close');
    note(server.listening);
  },
  async 'pauseOnConnect'({ note, pair }) {
    const { client, socket } = await pair({ pauseOnConnect: true });
    client.end('waits');
    await wait(40);
    note(socket.isPaused(), socket.bytesRead, socket.readableFlowing);
    socket.on('data', (data) => note(String(data)));
    await wait(20);
    note(socket.bytesRead);
    socket.resume();
    await closed(socket);
  },
  async 'paths'({ note, net, folder, listen }) {
    const path = `${folder}/socket`;
    const { server } = await listen({}, (socket) => {
      note('server', socket.remoteAddress, socket.localAddress, socket.address(), socket.remoteFamily);
      socket.pipe(socket);
    }, { path });
    note(server.address(), fs.statSync(path).isSocket());
    const client = net.connect(path);
    client.end('over a path');
    let text = '';
    for await (const part of client) {
      text += part;
    }
    note(text);
    server.close();
    note(fs.existsSync(path));
    await once(server, 'close');
  },
  async 'who may use a path'({ note, net, folder }) {
    const before = process.umask(0o077);
    for (const options of [{}, { readableAll: true }, { writableAll: true }, { readableAll: true, writableAll: true }]) {
      const path = `${folder}/mode`;
      const server = net.createServer().listen({ path, ...options });
      await once(server, 'listening');
      note((fs.statSync(path).mode & 0o777).toString(8));
      server.close();
      await once(server, 'close');
    }
    process.umask(before);
  },
  async 'an abstract path'({ note, net, listen }) {
    const path = `\0troupe-${process.pid}`;
    const { server } = await listen({}, (socket) => socket.end('abstract'), path);
    note(server.address() === path);
    let text = '';
    for await (const part of net.connect({ path })) {
      text += part;
    }
    note(text);
    server.close();
    await once(server, 'close');
  },
  async 'reset of a path'({ note, net, folder, listen }) {
    const { server } = await listen({}, () => {}, `${folder}/reset`);
    const client = net.connect(`${folder}/reset`);
    await once(client, 'connect');
    try {
      client.resetAndDestroy();
    } catch (failure) {
      note(failure, client.destroyed);
    }
    client.destroy();
    server.close();
    server.on('connection', (socket) => socket.destroy());
  },
  async 'a server class of one\'s own'({ note, net }) {
    class Echo extends net.Server {
      constructor() {
        super((socket) => socket.pipe(socket));
        this.kind = 'echo';
      }
    }
    const server = new Echo().listen(0);
    const client = net.connect(server.address().port);
    client.end('x');
    note(String((await client.toArray())[0]), server.kind, server instanceof net.Server);
    server.close();
  },
  async 'socket.server and listeners that come later'({ note, net }) {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.once('connection', (socket) => {
      note(socket.server === server, socket instanceof net.Socket);
      socket.end();
    });
    await once(net.connect(server.address().port, '127.0.0.1').resume(), 'close');
    server.close();
  },
  async 'many clients at a time'({ note, listen, net }) {
    const { server, port } = await listen({}, (socket) => socket.pipe(socket));
    const texts = await Promise.all(Array.from({ length: 60 }, async (_, i) => {
      const client = net.connect(port, '127.0.0.1');
      client.end(`client ${i} `.repeat(1000));
      return Buffer.concat(await client.toArray()).toString();
    }));
    note(texts.every((text, i) => text === `client ${i} `.repeat(1000)));
    server.close();
    await once(server, 'close');
  },
  async 'descriptors'({ note, net }) {
    const { spawn } = require('node:child_process');
    // A child whose standard output is one end of a socket pair that Node made: we are the other.
    const child = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end('through a pipe');
    note(String((await child.stdout.toArray())[0]));
    for (const fd of [9999]) {
      try {
        new net.Socket({ fd });
      } catch (failure) {
        note(failure);
      }
    }
  },
  async 'a peer that is not there any more'({ note, pair, watch }) {
    const { client, socket } = await pair();
    watch('client', client, 'end', 'close');
    client.on('error', (failure) => note(failure.code, failure.syscall));
    socket.resetAndDestroy();
    await closed(client);
    note(client.destroyed);
  },
  async 'ends and ticks in order'({ note, pair }) {
    const { client, socket } = await pair();
    for (const event of ['data', 'end', 'finish', 'close']) {
      client.on(event, () => {
        note(event);
        process.nextTick(note, `tick after ${event}`);
      });
    }
    socket.end('x');
    await closed(client);
    await turn();
  },
  async 'events.once and errors of it'({ note, net }) {
    await assert.rejects(once(net.connect(1, '127.0.0.1'), 'connect'), (failure) => {
      note(failure);
      return true;
    });
  },
  async 'a listener that throws is the caller\'s business'({ note, net }) {
    const socket = new net.Socket();
    socket.on('custom', () => {
      throw new Error('thrown');
    });
    try {
      socket.emit('custom');
    } catch (failure) {
      note(failure.message);
    }
  },
};

compare('servers', programs);
