// Connecting, and what can be set, in programs as people write them for Node's net: what they note must be the same with ours.
'use strict';

const { once } = require('node:events');
const { setTimeout: wait, setImmediate: turn } = require('node:timers/promises');
const { closed, compare } = require('./compare');

const programs = {
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

};

compare('connecting', programs);
