// Sockets as streams, and how they end, in programs as people write them for Node's net: what they note must be the same with ours.
'use strict';

const { once } = require('node:events');
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

};

compare('streams', programs);
