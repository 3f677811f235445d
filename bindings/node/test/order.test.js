// What comes before what, whose callback gets which error, and in which context.
'use strict';

const { AsyncLocalStorage, createHook } = require('node:async_hooks');
const { once } = require('node:events');
const { setTimeout: wait, setImmediate: turn } = require('node:timers/promises');
const { closed, compare } = require('./compare');

// A client whose peer is gone, which it knows.
async function widow({ pair }) {
  const { client, socket } = await pair({}, { allowHalfOpen: true });
  client.resume();
  socket.destroy();
  await Promise.all([once(client, 'end'), closed(socket)]);
  return client;
}

compare('order', {
  async 'the callback of a write gets its error, and then there is an error'(given) {
    const client = await widow(given);
    client.on('error', (failure) => given.note('error', failure));
    client.on('close', (hadError) => given.note('close', hadError));
    await new Promise((resolve) => client.write('taken by the kernel', (failure) => {
      given.note('first', failure ?? null);
      resolve();
    }));
    await wait(20); // the answer to it is a reset
    client.write('lost', (failure) => given.note('second', failure));
    await closed(client);
  },
  async 'callbacks of writes of each kind, then of the end'({ note, pair }) {
    const { client, socket } = await pair();
    socket.resume();
    client.cork();
    client.write('a', () => note('a'));
    client.write('b');
    client.write('c', 'latin1', () => note('c'));
    client.uncork();
    client.write('d', () => note('d'));
    client.write('');
    client.write('', () => note('empty'));
    client.end('e', () => note('end'));
    client.on('finish', () => note('finish'));
    await closed(client.resume());
  },
  async 'a write in the callback of a write'({ note, pair }) {
    const { client, socket } = await pair();
    let text = '';
    socket.on('data', (data) => {
      text += data;
    });
    let left = 20;
    (function more(failure) {
      note(failure ?? null, client.writableLength, client.bytesWritten);
      if (left-- > 0) {
        client.write('x', more);
      } else {
        client.end();
      }
    })();
    await closed(socket);
    note(text);
  },
  async 'what was written before a reset arrives, and ends'({ note, pair, watch }) {
    const { client, socket } = await pair();
    watch('server', socket, 'end', 'error', 'close');
    let received = 0;
    socket.on('data', (data) => {
      received += data.length;
    });
    client.write(Buffer.alloc(100000), (failure) => note('written', failure ?? null));
    client.resetAndDestroy();
    await closed(socket);
    note(received, client.bytesWritten);
  },
  async 'writes whose callbacks wait when the socket is destroyed'({ note, pair }) {
    const { client, socket } = await pair();
    socket.resume().on('error', () => {});
    client.on('error', (failure) => note('error', failure.message));
    for (let i = 0; i < 3; i++) {
      client.write('x', (failure) => note(i, failure ?? null));
    }
    client.destroy(new Error('mine'));
    await closed(client);
    socket.destroy();
  },
  async 'the first write before the connection calls back first'({ note, listen, net }) {
    const { server, port } = await listen({}, (socket) => socket.resume());
    const client = net.connect(port, '127.0.0.1');
    client.write('one', () => note('one'));
    client.on('connect', () => note('connect'));
    client.on('ready', () => note('ready'));
    await once(client, 'ready');
    client.end(() => note('end'));
    await closed(client.resume());
    server.close();
  },
  async 'promises run between the events of two sockets'({ note, pair }) {
    const { client, socket } = await pair({}, { allowHalfOpen: true });
    client.resume();
    socket.destroy();
    await closed(socket);
    client.on('end', () => note('end')); // it has not come yet
    await once(client, 'end');
    client.destroy();
  },
  async 'a write after the peer has ended, in finish'({ note, pair }) {
    const { client, socket } = await pair();
    client.end();
    socket.resume().on('error', (failure) => note('error', failure.code));
    socket.on('close', (hadError) => note('close', hadError));
    socket.on('finish', () => {
      note(socket.write('late', (failure) => note('written', failure.code)), socket.destroyed);
    });
    await closed(socket);
    client.destroy();
  },
  async 'contexts'({ note, listen, net }) {
    const where = new AsyncLocalStorage();
    const say = (what) => note(what, where.getStore() ?? 'none');
    let heard;
    const arrived = new Promise((resolve) => {
      heard = resolve;
    });
    const { server, port } = await where.run('server', () => listen({}, (socket) => {
      say('connection');
      socket.once('data', heard);
      for (const event of ['data', 'end', 'close']) {
        socket.once(event, () => say(`server ${event}`));
      }
    }));
    const client = where.run('connect', () => net.connect(port, '127.0.0.1', () => say('connected')));
    await once(client, 'connect');
    for (const event of ['end', 'finish', 'close', 'timeout']) {
      client.on(event, () => say(event));
    }
    where.run('timeout', () => client.setTimeout(30));
    await once(client, 'timeout');
    client.setTimeout(0);
    where.run('write', () => client.write('x', () => say('written')));
    const written = new Promise((resolve) => where.run('large', () => client.write(Buffer.alloc(3000000), () => {
      say('written large');
      resolve();
    })));
    await Promise.all([arrived, written]);
    where.run('end', () => client.end(() => say('ended')));
    await closed(client.resume());
    await turn();
    server.close();
  },
  async 'the end comes in a turn after that of the data'({ note, pair }) {
    const { client, socket } = await pair();
    client.on('data', (data) => {
      note(String(data));
      setImmediate(() => note('turn of the data'));
    });
    client.on('end', () => note('end', client.writable));
    socket.end('x');
    await closed(client);
    await turn();
  },
  async 'sockets that end together finish before one of them is closed'({ note, net, listen }) {
    const sockets = new Set();
    const { server, port } = await listen({}, (socket) => {
      sockets.add(socket.resume());
      socket.on('finish', () => note('finish'));
      socket.on('close', () => {
        sockets.delete(socket);
        for (const other of sockets) {
          note(other.writableEnded, other.destroyed, other.write('is anybody there?'));
        }
      });
    });
    const clients = [net.connect(port, '127.0.0.1'), net.connect(port, '127.0.0.1')];
    await Promise.all(clients.map((client) => once(client, 'connect')));
    while (sockets.size < 2) {
      await turn();
    }
    for (const client of clients) {
      client.resume().end();
    }
    server.close();
    await once(server, 'close');
    while (sockets.size > 0) {
      await turn();
    }
  },
  async 'what other modules make is a socket and a server'({ note, net }) {
    const http = require('node:http');
    const server = http.createServer((request, response) => {
      note(request.socket instanceof net.Socket, new net.Socket() instanceof net.Socket, {} instanceof net.Socket);
      response.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    note(server instanceof net.Server, net.createServer() instanceof net.Server, new net.Socket() instanceof net.Server);
    const [response] = await once(http.get({ port: server.address().port, agent: false }), 'response');
    response.resume();
    server.close();
    await once(server, 'close');
  },
  async 'kinds of resources'({ note, pair, net, listen, folder }) {
    const kinds = new Set();
    const hook = createHook({
      init(id, kind) {
        if (/^(TCP|TCPSERVER|PIPE|PIPESERVER)WRAP$/.test(kind)) {
          kinds.add(kind);
        }
      },
    }).enable();
    const { client, socket } = await pair();
    client.destroy();
    socket.destroy();
    const { server } = await listen({}, (one) => one.end(), `${folder}/socket`);
    await closed(net.connect(`${folder}/socket`).resume());
    server.close();
    hook.disable();
    note([...kinds].sort());
  },
});
