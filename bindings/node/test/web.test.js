// http, https, tls and what is built on them, over our sockets.
'use strict';

const assert = require('node:assert');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');
const test = require('node:test');
const tls = require('node:tls');
const net = require('..');
const { key, cert } = require('./certificate');

// An HTTP server whose connections are ours, and how to connect to it.
async function serve(server, where = { port: 0, host: '127.0.0.1' }) {
  const listener = net.createServer((socket) => server.emit('connection', socket));
  listener.listen(where);
  await once(listener, 'listening');
  const address = listener.address();
  return {
    listener,
    createConnection: () => net.connect(typeof address === 'string' ? { path: address } : { port: address.port, host: '127.0.0.1' }),
  };
}

async function read(stream) {
  const parts = [];
  for await (const part of stream) {
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function request(options, body) {
  return new Promise((resolve, reject) => {
    const outgoing = http.request(options, resolve);
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function echo(incoming, outgoing) {
  outgoing.setHeader('x-port', incoming.socket.remotePort ?? 'none');
  outgoing.end(await read(incoming));
}

test('a request and its answer', async () => {
  const { listener, createConnection } = await serve(http.createServer(echo));
  const answer = await request({ method: 'POST', createConnection }, 'hello');
  assert.strictEqual(answer.statusCode, 200);
  assert.strictEqual(String(await read(answer)), 'hello');
  listener.close();
  await once(listener, 'close');
});

test('a connection is kept alive', async () => {
  const { listener, createConnection } = await serve(http.createServer(echo));
  class Agent extends http.Agent {
    createConnection() {
      return createConnection();
    }
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set();
  for (let i = 0; i < 20; i++) {
    const answer = await request({ method: 'POST', agent }, `request ${i}`);
    assert.strictEqual(String(await read(answer)), `request ${i}`);
    ports.add(answer.headers['x-port']);
  }
  assert.strictEqual(ports.size, 1);
  agent.destroy();
  listener.close();
  await once(listener, 'close');
});

test('large bodies both ways', async () => {
  const { listener, createConnection } = await serve(http.createServer((incoming, outgoing) => incoming.pipe(outgoing)));
  const body = Buffer.alloc(20 * 1024 * 1024, 'abcdefg');
  const answer = await request({ method: 'POST', createConnection }, body);
  assert.ok(body.equals(await read(answer)));
  listener.close();
  await once(listener, 'close');
});

test('many requests at a time', async () => {
  const { listener, createConnection } = await serve(http.createServer(echo));
  const answers = await Promise.all(Array.from({ length: 100 }, async (_, i) => {
    return String(await read(await request({ method: 'POST', createConnection }, `number ${i}`)));
  }));
  assert.deepStrictEqual(answers, answers.map((_, i) => `number ${i}`));
  listener.close();
  await once(listener, 'close');
});

test('a request over a path', async (t) => {
  const folder = fs.mkdtempSync('/tmp/troupe-');
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const { listener, createConnection } = await serve(http.createServer(echo), { path: `${folder}/web` });
  assert.strictEqual(String(await read(await request({ method: 'PUT', createConnection }, 'there'))), 'there');
  listener.close();
  await once(listener, 'close');
});

test('the server closes an idle connection', async () => {
  const server = http.createServer({ keepAliveTimeout: 20 }, echo);
  const { listener, createConnection } = await serve(server);
  const socket = createConnection();
  socket.write('GET / HTTP/1.1\r\nhost: here\r\n\r\n');
  let text = '';
  socket.on('data', (data) => {
    text += data;
  });
  await once(socket, 'close');
  assert.match(text, /^HTTP\/1.1 200 OK/);
  listener.close();
  await once(listener, 'close');
});

test('a request that is aborted', async () => {
  const { listener, createConnection } = await serve(http.createServer(() => {}));
  const outgoing = http.request({ createConnection });
  outgoing.end();
  await once(outgoing, 'socket');
  await once(listener, 'connection');
  outgoing.destroy();
  const [error] = await once(outgoing, 'error');
  assert.strictEqual(error.code, 'ECONNRESET');
  listener.close();
  await once(listener, 'close');
});

test('an upgrade', async () => {
  const server = http.createServer();
  server.on('upgrade', (incoming, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  const { listener, createConnection } = await serve(server);
  const outgoing = http.request({ createConnection, headers: { connection: 'upgrade', upgrade: 'echo' } });
  outgoing.end();
  const [, socket] = await once(outgoing, 'upgrade');
  socket.end('after the upgrade');
  assert.strictEqual(String(await read(socket)), 'after the upgrade');
  listener.close();
  await once(listener, 'close');
});

test('HTTP/2, with the addresses', async () => {
  const { listener, createConnection } = await serve(http2.createServer((incoming, outgoing) => {
    outgoing.end(`${incoming.socket.remoteAddress} ${incoming.socket.localPort}`);
  }));
  const session = http2.connect('http://localhost', { createConnection });
  const said = String(await read(session.request({ ':path': '/' })));
  assert.strictEqual(said, `127.0.0.1 ${listener.address().port}`);
  session.close();
  listener.close();
  await once(listener, 'close');
});

test('https both ways', async () => {
  const { listener, createConnection } = await serve(https.createServer({ key, cert }, echo));
  const answer = await new Promise((resolve, reject) => {
    const outgoing = https.request({
      method: 'POST',
      createConnection: () => tls.connect({ socket: createConnection(), rejectUnauthorized: false }),
    }, resolve);
    outgoing.on('error', reject);
    outgoing.end(Buffer.alloc(1024 * 1024, 'secret'));
  });
  assert.ok(Buffer.alloc(1024 * 1024, 'secret').equals(await read(answer)));
  listener.close();
  await once(listener, 'close');
});

test('tls.connect({ socket }) to a server of Node\'s own', async () => {
  const server = tls.createServer({ key, cert }, (socket) => socket.pipe(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const plain = net.connect(server.address().port, '127.0.0.1');
  const socket = tls.connect({ socket: plain, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  socket.end('hidden');
  assert.strictEqual(String(await read(socket)), 'hidden');
  server.close();
  await once(server, 'close');
});

test('a TLS server over our sockets echoes to its end', async () => {
  const server = tls.createServer({ key, cert }, (socket) => socket.pipe(socket)); // an error would end the process
  const { listener, createConnection } = await serve(server);
  const client = tls.connect({ socket: createConnection(), rejectUnauthorized: false });
  client.end('said to the end');
  assert.strictEqual(String(await read(client)), 'said to the end');
  listener.close();
  await once(listener, 'close');
});
