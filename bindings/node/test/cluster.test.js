// Node's cluster: workers that listen on one address, with Node's net and with ours.
'use strict';

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');
const { same } = require('./same');

const program = `
const cluster = require('node:cluster');
const net = require(process.env.TROUPE_TEST_NET);
cluster.schedulingPolicy = process.env.TROUPE_TEST_POLICY === 'shared' ? cluster.SCHED_NONE : cluster.SCHED_RR;

const WORKERS = 2;
const CLIENTS = 20;

// Each client is told which worker it has, and gets back what it says.
function worker() {
  const server = net.createServer((socket) => {
    socket.write(cluster.worker.id + ' ' + (socket.server === server) + ' ' + socket.remoteAddress + '\\n');
    socket.pipe(socket);
  });
  server.on('listening', () => {
    const address = server.address();
    process.send(typeof address === 'string' ? 'path' : address.address + ' ' + address.family);
  });
  const where = JSON.parse(process.env.TROUPE_TEST_WHERE);
  console.log('at once', server.listen(where).listening);
  server.on('close', () => console.log('closed', server.listening));
  process.on('message', () => server.close(() => process.disconnect()));
}

async function ask(where) {
  const client = net.connect(where);
  client.end('said by a client');
  let text = '';
  for await (const part of client) {
    text += part;
  }
  return text;
}

async function primary() {
  const workers = [];
  let where;
  const addresses = new Set();
  for (let i = 0; i < WORKERS; i++) {
    const one = cluster.fork();
    workers.push(one);
    const listening = new Promise((resolve) => one.once('listening', resolve));
    addresses.add(await new Promise((resolve) => one.once('message', resolve)));
    const { addressType, address, port } = await listening;
    console.log('listening', addressType, port > 0);
    where = addressType === -1 ? { path: address } : { port, host: '127.0.0.1' };
  }
  console.log([...addresses].join());
  const answers = await Promise.all(Array.from({ length: CLIENTS }, () => ask(where)));
  const ids = new Set(answers.map((answer) => answer.split(' ')[0]));
  if (process.env.TROUPE_TEST_POLICY !== 'shared') {
    console.log('dealt to', ids.size);
  }
  console.log([...new Set(answers.map((answer) => answer.replace(/^\\d+/, 'N')))].join());
  for (const one of workers) {
    if (one === workers[0]) {
      one.send('close');
    } else {
      one.disconnect();
    }
    await new Promise((resolve) => one.once('exit', resolve));
  }
  const refused = net.connect(where);
  refused.on('error', (error) => console.log('then', error.code));
}

(cluster.isPrimary ? primary : worker)();
`;

function play(module, environment) {
  return new Promise((resolve) => {
    const file = path.join(require('node:os').tmpdir(), `troupe-cluster-${process.pid}-${Math.random()}.js`);
    const fs = require('node:fs');
    fs.writeFileSync(file, program);
    const child = spawn(process.execPath, [file], { timeout: 60000, env: { ...process.env, ...environment, TROUPE_TEST_NET: module } });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data) => {
        output += data;
      });
    }
    child.on('close', (code, signal) => {
      fs.rmSync(file);
      resolve(`${output}exit ${code ?? signal}`);
    });
  });
}

const places = [{ port: 0 }, { port: 0, host: '127.0.0.1' }, { port: 0, host: 'localhost' }, { path: 'PATH' }];
for (const policy of ['dealt', 'shared']) {
  for (const place of places) {
    test(`${policy}, ${JSON.stringify(place)}`, async () => {
      const results = [];
      for (const module of ['node:net', path.join(__dirname, '..')]) {
        const where = place.path === undefined ? place : { path: `/tmp/troupe-cluster-${process.pid}` };
        results.push(await play(module, { TROUPE_TEST_POLICY: policy, TROUPE_TEST_WHERE: JSON.stringify(where) }));
      }
      assert.strictEqual(results[1], results[0]);
      assert.match(results[0], /said by a client/);
    });
  }
}

// A worker has the arguments of Node as well, so that it runs the same program, whatever file it is said to have.
const together = (policy) => `const cluster = require('node:cluster'); const { once } = require('node:events');
cluster.schedulingPolicy = cluster.${policy};
cluster.setupPrimary?.({ exec: 'it' });`;

same('a worker that disconnects waits for its connections', `${together('SCHED_RR')}
if (cluster.isPrimary) {
  const worker = cluster.fork();
  worker.once('listening', async ({ port }) => {
    const client = net.connect(port, '127.0.0.1');
    await once(client, 'data');
    worker.disconnect();
    await once(worker, 'message');
    console.log(worker.isConnected(), client.destroyed);
    worker.on('exit', (code) => console.log('exit', code));
    client.end('last');
    client.on('data', (data) => console.log(String(data)));
  });
} else {
  const server = net.createServer((socket) => {
    socket.on('data', (data) => socket.end('heard ' + data));
    socket.write('here');
    const timer = setInterval(() => {
      if (!server.listening) {
        clearInterval(timer);
        process.send('closed');
      }
    }, 1);
  }).listen(0, '127.0.0.1');
}`);

same('a worker listens with a server that it was sent', `${together('SCHED_RR')}
if (cluster.isPrimary) {
  const server = require('node:net').createServer().listen(0, '127.0.0.1', async () => {
    const worker = cluster.fork();
    worker.send('here', server);
    const { port } = server.address();
    console.log((await once(worker, 'message'))[0]);
    server.close();
    console.log(String((await net.connect(port, '127.0.0.1').toArray())[0]));
    worker.disconnect();
  });
} else {
  process.once('message', (message, given) => {
    net.createServer((socket) => socket.end('worker')).listen(given, function() {
      process.once('disconnect', () => this.close());
      process.send('listening');
    });
  });
}`);

same('a worker that shares an address sends its server on', `${together('SCHED_NONE')}
const child = \`process.once('message', (message, server) => {
  server.on('connection', (socket) => {
    socket.end('child');
    server.close();
    process.disconnect();
  });
  process.send('listening');
});\`;
if (cluster.isPrimary) {
  const worker = cluster.fork();
  worker.once('message', async (port) => {
    console.log(String((await net.connect(port, '127.0.0.1').toArray())[0]));
    worker.disconnect();
  });
} else {
  const server = net.createServer().listen(0, '127.0.0.1', async () => {
    const { port } = server.address();
    const other = require('node:child_process').spawn(process.execPath, ['-e', child],
      { stdio: ['inherit', 'inherit', 'inherit', 'ipc'], env: { ...process.env, NODE_UNIQUE_ID: undefined } });
    other.send('server', server, (error) => console.log('sent', error));
    await once(other, 'message');
    server.close(() => process.send(port));
  });
}`);
