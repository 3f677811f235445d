// What is told in which turn of the loop, with both ends of a connection in one process.
'use strict';

const { once } = require('node:events');
const { setTimeout: wait } = require('node:timers/promises');
const { closed, compare } = require('./compare');

const EVENTS = ['data', 'end', 'finish', 'close'];

// A client that is connected, and the server's side of it; what both tell is noted.
async function told({ pair, watch }, serverOptions, clientOptions) {
  const both = await pair(serverOptions, clientOptions);
  watch('client', both.client, ...EVENTS);
  watch('server', both.socket, ...EVENTS);
  return { ...both, gone: Promise.all([closed(both.client), closed(both.socket)]) };
}

// Does that in a callback of the loop's.
const places = {
  'a timer': (action) => setTimeout(action, 20),
  'an immediate': (action) => setImmediate(action),
  'a callback of the file system': (action) => require('node:fs').stat('/', action),
};

const programs = {};
for (const [place, later] of Object.entries(places)) {
  for (const act of ['destroy', 'end', 'destroySoon', 'resetAndDestroy']) {
    programs[`${act}() in ${place}`] = async (given) => {
      const { client, socket, gone } = await told(given);
      socket.on('error', (failure) => given.note(failure.code));
      later(() => {
        client[act]();
        given.note(act);
        process.nextTick(() => given.note('tick'));
        setImmediate(() => given.note('immediate'));
      });
      await gone;
    };
  }
}

compare('turns of the loop', {
  ...programs,
  async 'an idle time ends it'(given) {
    const { client, gone } = await told(given);
    client.setTimeout(30, () => client.destroy());
    await gone;
  },
  async 'who is destroyed last is closed first'({ note, listen, net }) {
    const { server, port } = await listen({}, (socket) => socket.resume().on('error', () => {}));
    const clients = [0, 1, 2].map(() => net.connect(port, '127.0.0.1'));
    await Promise.all(clients.map((client) => once(client, 'connect')));
    clients.forEach((client, i) => client.on('close', () => note('close', i)).destroy());
    await Promise.all(clients.map(closed));
    server.close();
  },
  async 'an end with data, answered'(given) {
    const { client, socket, gone } = await told(given, { allowHalfOpen: true });
    socket.on('end', () => socket.write('answer', () => {
      given.note('written');
      socket.end(() => given.note('ended'));
    }));
    client.end('question', () => given.note('asked'));
    await gone;
  },
  async 'what is written when the peer has ended comes together'(given) {
    const { client, socket, gone } = await told(given, { allowHalfOpen: true });
    socket.on('end', () => {
      socket.write('some');
      socket.write('more');
      socket.end('and all');
    });
    client.end('question');
    await gone;
  },
  async 'data and its end'(given) {
    const { client, socket, gone } = await told(given);
    socket.end('all', () => given.note('done'));
    client.on('end', () => {
      given.note(client.readyState, client.write('not yet', (failure) => given.note(failure ?? 'written')));
      setImmediate(() => given.note('immediate', client.destroyed, client.write('late', (failure) => given.note(failure.code))));
    });
    await gone;
  },
  async 'data with an end, echoed'(given) {
    const { client, socket, gone } = await told(given);
    socket.pipe(socket);
    client.end('hello');
    await gone;
  },
  async 'an end while an echo comes'(given) {
    const { client, socket, gone } = await told(given);
    socket.write('hello');
    socket.pipe(socket);
    client.once('data', () => client.end());
    client.write('world!');
    await gone;
  },
  async 'a close of what was told in the turn of a larger write'(given) {
    const { client, socket } = await given.pair();
    given.watch('server', socket, 'close');
    client.on('error', (failure) => given.note(failure.code));
    client.on('close', () => given.note('client close'));
    socket.once('data', () => socket.destroy()); // with more to read
    client.write('a');
    client.write(Buffer.alloc(300000));
    await Promise.all([closed(client), closed(socket)]);
  },
  async 'a write that is larger than the limit'(given) {
    const { client, socket, gone } = await told(given);
    socket.removeAllListeners('data').resume();
    client.on('drain', () => given.note('drain'));
    given.note(client.write(Buffer.alloc(1000000), () => given.note('written')), client.writableLength, client.bytesWritten);
    client.end();
    await gone;
    given.note(socket.bytesRead);
  },
  async 'there is no drain before the peer reads'({ note, pair }) {
    const { client, socket } = await pair();
    socket.pause();
    let reads = false;
    while (client.write(Buffer.alloc(65536))) {
      // until the kernel is full
    }
    note(client.writableLength > 0, client.writableNeedDrain);
    const drained = once(client, 'drain').then(() => note('drain', reads));
    await wait(100);
    reads = true;
    socket.resume();
    await drained;
    client.destroy();
    await closed(client);
  },
  async 'a write that the kernel refuses is not counted'({ note, pair }) {
    const { client, socket } = await pair({}, { allowHalfOpen: true });
    client.pause();
    socket.destroy();
    await closed(socket);
    let taken = 0;
    let failure = null;
    const gone = closed(client);
    client.on('error', (told) => note(told.code, client.bytesWritten === taken));
    while (failure === null) { // the answer to the first one is a reset
      failure = await new Promise((resolve) => client.write('x', (refusal) => resolve(refusal ?? null)));
      taken += failure === null ? 1 : 0;
      await new Promise(setImmediate);
    }
    note(failure.code, client.bytesWritten === taken, taken > 0);
    await gone;
  },
  async 'connections that come together'({ note, listen, net }) {
    let count = 0;
    const { server, port } = await listen({}, (socket) => {
      const number = count++;
      note('connection', number);
      socket.on('data', (data) => note('server', number, String(data)));
      socket.on('end', () => note('server end', number)).on('close', () => note('server close', number));
      socket.write('hello');
    });
    const clients = [0, 1, 2, 3].map((number) => {
      const client = net.connect(port, '127.0.0.1', () => note('connect', number));
      client.on('data', () => client.end('bye')).on('close', () => note('close', number));
      return client;
    });
    await Promise.all(clients.map(closed));
    server.close();
    await once(server, 'close');
  },
  async 'a connection whose turn has not come when the server closes'({ note, listen, net }) {
    const { server, port } = await listen({}, (socket) => {
      note('connection');
      socket.end('x');
      server.close(() => note('server close'));
    });
    const clients = ['first', 'second'].map((name) => {
      const client = net.connect(port, '127.0.0.1');
      client.on('error', (failure) => note(name, failure.code)).on('close', (hadError) => note(name, 'close', hadError));
      return client.resume();
    });
    await Promise.all([...clients.map(closed), closed(server)]);
  },
  async 'very many connections that come together'({ note, listen, net }) {
    let count = 0;
    const { server, port } = await listen({}, (socket) => {
      count++;
      socket.pipe(socket);
    });
    const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => {
      const client = net.connect(port, '127.0.0.1');
      client.end(`number ${i}`);
      return client.toArray();
    }));
    note(count, answers.every(([answer], i) => String(answer) === `number ${i}`));
    server.close();
    await once(server, 'close');
  },
  async 'a socket is connected again when it is closed'({ note, listen, net, watch }) {
    let times = 0;
    const others = [];
    const { server, port } = await listen({}, (socket) => {
      watch('server', socket, 'close');
      others.push(closed(socket));
      socket.end('x');
    });
    const client = net.connect(port, '127.0.0.1');
    watch('client', client, ...EVENTS);
    await new Promise((resolve) => client.on('close', () => {
      note(client.bytesRead);
      if (++times < 3) {
        client.connect(port, '127.0.0.1');
      } else {
        resolve();
      }
    }));
    server.close();
    await Promise.all(others);
  },
});
