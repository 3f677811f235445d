// Packages from npm over our sockets: ws and Express. Without a registry this is skipped.
'use strict';

const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const { createRequire } = require('node:module');
const path = require('node:path');
const test = require('node:test');
const net = require('..');

const versions = ['ws@8.18.0', 'express@4.21.2'];
const folder = path.join(process.env.TROUPE_BUILD_DIR ?? '/tmp/troupe-build', 'node_packages');

function install() {
  const mark = path.join(folder, 'installed');
  if (!fs.existsSync(mark) || fs.readFileSync(mark, 'utf8') !== String(versions)) {
    fs.rmSync(folder, { recursive: true, force: true });
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, 'package.json'), '{ "private": true }');
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', ...versions], { cwd: folder, stdio: 'pipe', timeout: 120000 });
    fs.writeFileSync(mark, String(versions));
  }
  return createRequire(path.join(folder, 'index.js'));
}

let load = null;
let skip = false;
try {
  load = install();
} catch (error) {
  skip = `${versions} could not be installed: ${String(error.stderr ?? error.message).split('\n')[0]}`;
}

async function serve(server) {
  const listener = net.createServer((socket) => server.emit('connection', socket)).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return { listener, port: listener.address().port };
}

test('WebSockets both ways', { skip }, async () => {
  const { WebSocket, WebSocketServer } = load('ws');
  const server = http.createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
  const { listener, port } = await serve(server);
  const client = new WebSocket(`ws://127.0.0.1:${port}`, { createConnection: (options) => net.connect(port, '127.0.0.1', options) });
  await once(client, 'open');
  for (const message of ['hello', 'x'.repeat(100000), Buffer.alloc(3000000, 'binary')]) {
    client.send(message);
    const [data] = await once(client, 'message');
    assert.ok(Buffer.from(message).equals(data));
  }
  const pong = once(client, 'pong');
  client.ping('are you there');
  assert.strictEqual(String(await pong), 'are you there');
  client.close(1000, 'done');
  const [code, reason] = await once(client, 'close');
  assert.deepStrictEqual([code, String(reason)], [1000, 'done']);
  listener.close();
  await once(listener, 'close');
});

test('Express', { skip }, async () => {
  const express = load('express');
  const app = express();
  app.use(express.json());
  app.get('/hello/:name', (request, response) => response.send(`hello ${request.params.name} from ${request.ip}`));
  app.post('/sum', (request, response) => response.json({ sum: request.body.numbers.reduce((a, b) => a + b) }));
  app.use('/files', express.static(__dirname));
  const { listener, port } = await serve(http.createServer(app));
  const agent = new http.Agent({ keepAlive: true });
  agent.createConnection = () => net.connect(port, '127.0.0.1');
  const ask = (method, where, body) => new Promise((resolve, reject) => {
    const outgoing = http.request({ method, path: where, agent, headers: body ? { 'content-type': 'application/json' } : {} }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part)).on('end', () => resolve([response.statusCode, String(Buffer.concat(parts))]));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
  assert.deepStrictEqual(await ask('GET', '/hello/you'), [200, 'hello you from 127.0.0.1']);
  assert.deepStrictEqual(await ask('POST', '/sum', '{"numbers":[1,2,3]}'), [200, '{"sum":6}']);
  assert.deepStrictEqual(await ask('GET', '/files/npm.test.js'), [200, fs.readFileSync(__filename, 'utf8')]);
  assert.strictEqual((await ask('GET', '/nowhere'))[0], 404);
  agent.destroy();
  listener.close();
  await once(listener, 'close');
});
