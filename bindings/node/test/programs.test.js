// Programs as people write them for Node's net, run with it and with ours: what they note must be the same.
'use strict';

const assert = require('node:assert');
const { once } = require('node:events');
const fs = require('node:fs');
const { pipeline, Transform, finished } = require('node:stream');
const streams = require('node:stream/promises');
const { setTimeout: wait, setImmediate: turn } = require('node:timers/promises');
const { closed, compare } = require('./compare');

const programs = {
  // ---- Streams ----
  async 'a pipeline through a transform'({ note, listen, net }) {
    const { server, port } = await listen({}, (socket) => {
      const upper = new Transform({ transform: (chunk, encoding, callback) => callback(null, String(chunk).toUpperCase()) });
      pipeline(socket, upper, socket, (failure) => note('server pipeline', failure ?? 'done'));
    });
    const client = net.connect(port, '127.0.0.1');
    client.end('hello there');
    let text = '';
    for await (const chunk of client) {
      text += chunk;
    }
    note(text);
    server.close();
    await once(server, 'close');
  },
  async 'async iteration that is left early destroys the socket'({ note, pair }) {
    const { client, socket } = await pair();
    socket.write('one');
    for await (const chunk of client) {
      note(String(chunk));
      break;
    }
    note(client.destroyed);
    await closed(socket);
  },
  async 'stream.finished and promises'({ note, pair }) {
    const { client, socket } = await pair();
    finished(client, (failure) => note('finished', failure ?? 'well'));
    socket.end('x');
    client.resume().end();
    await streams.finished(socket.resume());
    await wait(20);
    note(client.destroyed, socket.destroyed);
  },
  async 'cork and uncork'({ note, pair }) {
    const { client, socket } = await pair();
    client.cork();
    note(client.write('a'), client.write('b'), client.writableLength, client.bytesWritten, client.writableCorked);
    client.write('c', () => note('written'));
    client.uncork();
    client.end();
    let text = '';
    socket.setEncoding('utf8').on('data', (data) => {
      text += data;
    });
    await closed(socket);
    note(text, socket.bytesRead);
  },
  async 'writes of every kind'({ note, pair }) {
    const { client, socket } = await pair();
    const parts = [];
    socket.on('data', (data) => parts.push(data));
    client.write('text');
    client.write('ff00', 'hex');
    client.write('aGk=', 'base64');
    client.write('é', 'latin1');
    client.write('é', 'utf16le');
    client.write(Buffer.from('buffer'));
    client.write(new Uint8Array([1, 2, 3]));
    client.end(Buffer.alloc(0));
    note(client.bytesWritten);
    await closed(socket);
    note(Buffer.concat(parts).toString('hex'));
  },
  async 'callbacks of writes in order, and finish after them'({ note, pair, watch }) {
    const { client, socket } = await pair();
    socket.resume();
    watch('client', client, 'finish', 'close', 'end', 'prefinish');
    for (let i = 0; i < 5; i++) {
      client.write(`${i}`, (failure) => note('written', i, failure ?? null));
    }
    client.end('last', () => note('ended'));
    await closed(client);
  },
  async 'a large amount and its end'({ note, pair }) {
    const { client, socket } = await pair();
    const body = Buffer.alloc(5000000, 'troupe');
    client.end(body);
    const parts = [];
    for await (const part of socket) {
      parts.push(part);
    }
    note(Buffer.concat(parts).equals(body), socket.bytesRead, client.bytesWritten);
  },
  async 'back pressure until somebody reads'({ note, pair }) {
    const { client, socket } = await pair({ pauseOnConnect: true });
    let writes = 0;
    while (client.write(Buffer.alloc(65536)) || writes < 200) {
      writes++;
    }
    note(client.writableNeedDrain, client.writableLength > 0, socket.bytesRead);
    socket.resume();
    await once(client, 'drain');
    note('drain', client.writableLength);
    client.destroy();
    await closed(socket);
  },
  async 'setEncoding joins characters'({ note, pair }) {
    const { client, socket } = await pair();
    socket.setEncoding('utf8');
    const bytes = Buffer.from('€uro');
    client.setNoDelay();
    socket.on('data', (text) => note(text));
    for (let i = 0; i < 3; i++) {
      client.write(bytes.subarray(i, i + 1));
      while (socket.bytesRead <= i) {
        await wait(1);
      }
    }
    client.end(bytes.subarray(3));
    await closed(socket);
    note(socket.bytesRead, socket.readableEncoding);
  },
  async 'unshift and read'({ note, pair }) {
    const { client, socket } = await pair();
    client.end('head:body');
    await once(socket, 'readable');
    const chunk = socket.read();
    socket.unshift(chunk.subarray(5));
    note(String(chunk.subarray(0, 5)), String(socket.read()));
    socket.resume();
    await closed(socket);
  },
  async 'reading by readable and read(n)'({ note, pair }) {
    const { client, socket } = await pair();
    client.end('abcdefghij');
    let text = '';
    socket.on('readable', () => {
      for (let part = socket.read(3); part !== null; part = socket.read(3)) {
        text += `[${part}]`;
      }
    });
    await once(socket, 'end');
    note(text);
  },

  // ---- Ends ----
  async 'half-open: the server answers after the client has ended'({ note, pair, watch }) {
    const { client, socket } = await pair({ allowHalfOpen: true });
    watch('client', client, 'end', 'close');
    watch('server', socket, 'end', 'finish', 'close');
    client.end('question');
    socket.on('data', (data) => note('data', String(data)));
    await once(socket, 'end');
    note(socket.readyState, client.readyState);
    client.resume();
    socket.end('answer');
    await Promise.all([once(client, 'close'), once(socket, 'close')]);
  },
  async 'a half-open socket stays open'({ note, pair }) {
    const { client, socket } = await pair({ allowHalfOpen: true });
    client.end();
    socket.resume();
    await once(socket, 'end');
    await wait(30);
    note(socket.destroyed, socket.writable, socket.readyState);
    socket.end();
    client.resume();
    await closed(socket);
  },
  async 'write after end'({ note, pair, watch }) {
    const { client, socket } = await pair();
    socket.resume();
    watch('client', client, 'error', 'close');
    client.end('x');
    note(client.write('y', (failure) => note('written', failure)));
    await closed(client);
  },
  async 'end twice, and after finish'({ note, pair }) {
    const { client, socket } = await pair();
    client.end(() => note('first'));
    client.end(() => note('second'));
    await once(client, 'finish');
    client.end((failure) => note('late', failure.code));
    socket.resume();
    client.resume();
    await closed(client);
  },
  async 'destroy with an error'({ note, pair, watch }) {
    const { client, socket } = await pair();
    watch('client', client, 'error', 'close', 'end');
    watch('server', socket, 'error', 'close');
    socket.resume();
    client.destroy(new Error('mine'));
    note(client.destroyed, client.errored.message, client.readyState, client.pending);
    client.destroy(new Error('again'));
    await Promise.all([once(client, 'close').catch(() => {}), once(socket, 'close')]);
  },
  async 'destroy with writes that wait'({ note, pair, watch }) {
    const { client, socket } = await pair({ pauseOnConnect: true });
    watch('client', client, 'error', 'close');
    for (let i = 0; i < 3; i++) {
      client.write(Buffer.alloc(8000000), (failure) => note('written', i, failure?.code ?? null));
    }
    client.destroy();
    note(client.write('late', (failure) => note('late', failure.code, failure.message)));
    await closed(client);
    await turn();
    socket.destroy();
  },
  async 'a write that the kernel has no room for, and a destroy'({ note, net, pair, folder, watch }) {
    const server = net.createServer({ pauseOnConnect: true }).listen(`${folder}/socket`);
    await once(server, 'listening');
    const client = net.connect(`${folder}/socket`);
    const [[held]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
    server.close();
    const { client: other, socket } = await pair({ pauseOnConnect: true });
    for (const [one, size] of [[client, 1024 * 1024], [other, 8 * 1024 * 1024]]) {
      watch('one', one, 'error', 'close', 'drain');
      note(one.write(Buffer.alloc(size), (failure) => note('first', failure?.code ?? null)), one.writableLength);
      note(one.write('second', (failure) => note('second', failure?.code ?? null)));
      one.destroy();
      await closed(one);
    }
    held.destroy();
    socket.destroy();
  },
  async 'resetAndDestroy'({ note, pair, watch }) {
    const { client, socket } = await pair();
    watch('client', client, 'error', 'close');
    watch('server', socket, 'error', 'end', 'close');
    note(client.resetAndDestroy() === client);
    await closed(socket);
    await turn();
  },
  async 'destroySoon'({ note, pair, watch }) {
    const { client, socket } = await pair();
    watch('client', client, 'finish', 'end', 'close');
    client.write('x'.repeat(100000));
    client.destroySoon();
    let length = 0;
    socket.on('data', (data) => {
      length += data.length;
    });
    await closed(socket);
    note(length);
  },
  async 'what a destroyed socket says'({ note, pair }) {
    const { client, socket } = await pair();
    client.destroy();
    await closed(client);
    note(client.localAddress, client.localPort, client.address(), client.remoteAddress, client.bufferSize, client.readyState);
    note(client.setNoDelay() === client, client.setKeepAlive(true) === client, client.ref() === client, client.pause() === client);
    socket.destroy();
  },
  async 'a signal'({ note, pair, watch }) {
    const controller = new AbortController();
    const { client, socket } = await pair({}, { signal: controller.signal });
    watch('client', client, 'error', 'close');
    socket.on('error', () => {}).resume();
    controller.abort(new Error('reason'));
    await closed(client);
    note(client.errored.cause.message, client.errored.name);
  },
  async 'automatic disposal'({ note, pair }) {
    const { client, socket } = await pair();
    client.on('error', () => {});
    await client[Symbol.asyncDispose]().catch((failure) => note(failure.code));
    note(client.destroyed);
    socket.destroy();
  },

  // ---- Connecting ----
  async 'nobody listens'({ note, net, watch }) {
    const socket = net.connect(1, '127.0.0.1', () => note('connected'));
    watch('c', socket, 'connect', 'ready', 'connectionAttempt', 'connectionAttemptFailed', 'error', 'close');
    note(socket.connecting, socket.pending, socket.readyState);
    await closed(socket);
    note(socket.destroyed, socket.connecting);
  },
  async 'no such path'({ note, net, watch, folder }) {
    const socket = net.connect(`${folder}/nothing`);
    watch('c', socket, 'connect', 'error', 'close');
    await closed(socket);
  },
  async 'a name that is not there'({ note, net, watch }) {
    const socket = net.connect({ port: 80, host: 'nowhere.invalid', lookup: (host, options, callback) => {
      note(host, options);
      callback(Object.assign(new Error('mine'), { code: 'EMINE' }));
    } });
    watch('c', socket, 'lookup', 'error', 'close');
    await closed(socket);
  },
  async 'a look-up of one\'s own'({ note, net, watch, listen }) {
    const { server, port } = await listen({}, (socket) => socket.end('x'));
    const socket = net.connect({ port, host: 'some.name', family: 4, lookup: (host, options, callback) => {
      note(host, options);
      process.nextTick(callback, null, '127.0.0.1', 4);
    } });
    watch('c', socket, 'lookup', 'connectionAttempt', 'connect', 'ready', 'end', 'close');
    socket.removeAllListeners('connectionAttempt').on('connectionAttempt', (ip, to, family) => note('attempt', ip, to === port, family)).resume();
    await closed(socket);
    server.close();
  },
  async 'bad answers of a look-up'({ net, watch, error: _, note }) {
    for (const answer of [['1.2.3.4', 100], ['not an address', 4], [undefined, undefined]]) {
      const socket = net.connect({ port: 99, host: 'some.name', autoSelectFamily: false, lookup: (host, options, callback) => callback(null, ...answer) });
      watch('c', socket, 'error', 'close');
      await closed(socket);
    }
    note('over');
  },
  async 'several addresses, the second one answers'({ note, net, listen }) {
    const { server, port } = await listen({}, (socket) => socket.end());
    const socket = net.connect({ port, host: 'some.name', lookup: (host, options, callback) => {
      note(options.all);
      callback(null, [{ address: '::1', family: 6 }, { address: '127.0.0.1', family: 4 }]);
    } });
    for (const event of ['lookup', 'connectionAttempt', 'connectionAttemptFailed', 'connect', 'close']) {
      socket.on(event, (first, second, third, fourth) => note(event, first ?? null, event === 'lookup' ? [second, third, fourth] : '', fourth?.code ?? ''));
    }
    socket.resume();
    await closed(socket);
    note(socket.autoSelectFamilyAttemptedAddresses.map((text) => text.replace(`:${port}`, ':PORT')));
    server.close();
  },
  async 'several addresses, none answers'({ note, net }) {
    const socket = net.connect({ port: 1, host: 'some.name', lookup: (host, options, callback) =>
      callback(null, [{ address: '127.0.0.1', family: 4 }, { address: '127.0.0.2', family: 4 }]) });
    const failure = await new Promise((resolve) => socket.on('error', resolve));
    note(failure.name, failure.constructor.name, failure.code, failure.message, failure.errors.length, ...failure.errors);
    note(failure instanceof AggregateError);
  },
  async 'a local address and port'({ note, net, listen }) {
    const { server, port } = await listen({}, (socket) => {
      note(socket.remoteAddress);
      socket.end();
    });
    const socket = net.connect({ port, host: '127.0.0.1', localAddress: '127.0.0.7' });
    await once(socket.resume(), 'close');
    const taken = net.connect({ port, host: '127.0.0.1', localAddress: '203.0.113.1' });
    const [failure] = await once(taken, 'error').catch((e) => [e]);
    note(failure);
    server.close();
  },
  async 'written before it is connected'({ note, listen, net }) {
    const { server, port } = await listen({}, (socket) => socket.pipe(socket));
    const socket = new net.Socket();
    socket.connect(port, '127.0.0.1', () => note('connect', socket.bytesWritten));
    note(socket.write('early', () => note('written')), socket.bytesWritten, socket.writableLength, socket.bufferSize);
    socket.end();
    let text = '';
    for await (const part of socket) {
      text += part;
    }
    note(text);
    server.close();
  },
  async 'destroyed while connecting'({ note, listen, net, watch }) {
    const { server, port } = await listen();
    const socket = net.connect(port, '127.0.0.1');
    watch('c', socket, 'connect', 'error', 'close');
    socket.write('x', (failure) => note('written', failure.code));
    socket.destroy();
    note(socket.connecting, socket.destroyed);
    await closed(socket);
    await turn();
    server.close();
  },
  async 'connected again and again'({ note, listen, net }) {
    const { server, port } = await listen({}, (socket) => socket.end('hello'));
    const socket = new net.Socket();
    for (let i = 0; i < 3; i++) {
      socket.connect(port, '127.0.0.1');
      note(socket.connecting, socket.destroyed, socket.bytesRead);
      await once(socket, 'connect');
      socket.resume();
      await closed(socket);
      note(socket.bytesRead, socket.destroyed);
    }
    note(socket.listenerCount('connect'), socket.listenerCount('close'));
    server.close();
  },
  async 'a socket class of one\'s own'({ note, listen, net }) {
    const { server, port } = await listen({}, (socket) => socket.end('line\n'));
    class Lines extends net.Socket {
      constructor(options) {
        super(options);
        this.lines = 0;
      }

      connect(...args) {
        note('connect called', args.length);
        return super.connect(...args);
      }
    }
    const socket = new Lines({ allowHalfOpen: false });
    socket.connect({ port, host: '127.0.0.1' });
    socket.on('data', () => socket.lines++);
    await closed(socket);
    note(socket.lines, socket instanceof net.Socket, socket.constructor.name);
    server.close();
  },
  async 'the timeout of createConnection'({ note, listen, net }) {
    const { server, port } = await listen();
    const socket = net.createConnection({ port, host: '127.0.0.1', timeout: 30 });
    note(socket.timeout);
    await once(socket, 'timeout');
    note(socket.destroyed);
    socket.destroy();
    server.close();
  },
  async 'families and addresses'({ note, listen, net }) {
    for (const host of ['127.0.0.1', '::1']) {
      const { server, port } = await listen({}, (socket) => {
        note('server', socket.remoteFamily, socket.remoteAddress, socket.localFamily, socket.localAddress, socket.localPort === port, socket.address().family);
        socket.end();
      }, { port: 0, host });
      const socket = net.connect(port, host);
      await once(socket, 'connect');
      note('client', socket.remoteFamily, socket.remoteAddress, socket.remotePort === port, socket.localFamily, Object.keys(socket.address()));
      await once(socket.resume(), 'close');
      server.close();
    }
  },

  // ---- Timeouts and options ----
  async 'setTimeout fires once and can be taken back'({ note, pair }) {
    const { client, socket } = await pair();
    let times = 0;
    const count = () => times++;
    client.setTimeout(20, count);
    await once(client, 'timeout');
    await wait(60);
    note(times, client.timeout, client.listenerCount('timeout'));
    client.setTimeout(20, count);
    client.setTimeout(0, count);
    await wait(50);
    note(times, client.timeout, client.listenerCount('timeout'));
    client.destroy();
    socket.destroy();
  },
  async 'what comes puts the timeout off'({ note, pair }) {
    const { client, socket } = await pair();
    let fired = false;
    let longest = 0;
    client.resume().setTimeout(150, () => {
      fired = true;
    });
    for (let i = 0; i < 6; i++) {
      const before = performance.now();
      socket.write('x');
      await wait(50);
      longest = Math.max(longest, performance.now() - before);
    }
    note(!fired || longest > 75); // a busy machine may keep it from writing in time
    if (!fired) {
      await once(client, 'timeout');
    }
    client.destroy();
    socket.destroy();
  },
  async 'options that chain'({ note, pair }) {
    const { client, socket } = await pair({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 5000 }, { noDelay: true, keepAlive: true });
    note(client.setNoDelay(false).setNoDelay().setKeepAlive(true, 1000).setKeepAlive(false).setTimeout(0).ref().unref().ref() === client);
    client.destroy();
    await once(socket.resume(), 'close');
  },
  async 'onread with a buffer'({ note, net, listen }) {
    const { server, port } = await listen({}, (socket) => socket.end('hello world'));
    const buffer = Buffer.alloc(4);
    let text = '';
    const socket = net.connect({ port, host: '127.0.0.1', onread: { buffer, callback(length, bytes) {
      text += `${bytes.toString('latin1', 0, length)}|`;
      note(this === socket, bytes === buffer);
      return true;
    } } });
    socket.on('data', () => note('data'));
    await closed(socket);
    note(text, socket.bytesRead);
    server.close();
  },

  // ---- Servers ----
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

compare('programs', programs);
