// Sockets and servers that other processes get.
'use strict';

const { same } = require('./same');

// child(): a process that runs this, with a channel; `note` there is heard here.
const begin = `
const { fork, spawn } = require('node:child_process');
function child(source) {
  const one = fork('child', [], { execArgv: ['-e', 'const note = (...words) => process.send(words.join(" "));' + source] });
  one.on('message', (text) => { console.log('child:', text); });
  one.on('exit', (code) => console.log('exit', code));
  return one;
}
function listening(options, onConnection) {
  const server = net.createServer(options, onConnection);
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}
async function text(stream) {
  let all = '';
  for await (const part of stream) { all += part; }
  return all;
}
const ask = (server, said = '') => text(net.connect(server.address().port, '127.0.0.1').end(said));
const { once } = require('node:events');
`;

function program(name, source) {
  same(name, `${begin}\n(async () => {${source}})();`);
}

program('a socket goes to a child, which hears all of it', `
  let heard = '';
  const other = child("process.on('message', (message, socket) => { note(message, socket.remoteAddress); socket.on('data', (data) => socket.end('child heard ' + data)); });");
  const server = await listening({ pauseOnConnect: true }, (socket) => {
    other.send('yours', socket, (error) => console.log('sent', error));
    console.log(socket.destroyed);
    socket.on('close', () => console.log('never'));
    server.close(() => { console.log('closed'); other.disconnect(); });
  });
  process.on('exit', () => console.log(heard));
  const client = net.connect(server.address().port, '127.0.0.1');
  client.write('hello');
  client.on('data', (data) => { heard = String(data); });
  client.on('close', () => { heard += ', close'; });`);
program('what was written before it was sent comes first', `
  const other = child("process.once('message', (message, socket) => { socket.end(', child'); process.disconnect(); });");
  const server = await listening({}, async (socket) => { console.log(await text(socket)); server.close(); });
  const client = net.connect(server.address().port, '127.0.0.1', () => client.write('parent', () => other.send('', client)));`);
program('a socket that is kept open belongs to both', `
  const other = child("process.once('message', (message, socket) => { socket.write('child, ', () => socket.destroy()); process.disconnect(); });");
  const server = await listening({}, async (socket) => { console.log(await text(socket)); server.close(); });
  const client = net.connect(server.address().port, '127.0.0.1', () => other.send('', client, { keepOpen: true }));
  other.on('exit', () => client.end('parent').resume());`);
program('a socket is sent once', `
  const other = child("process.on('message', (message, socket) => { note(message, socket !== undefined); socket?.end(); if (message === 'second') { process.disconnect(); } });");
  const server = await listening({ pauseOnConnect: true }, (socket) => {
    console.log(other.send('first', socket), other.send('second', socket));
    server.close();
  });
  await ask(server);`);
program('a child gets a server, and goes on when the parent closes its own', `
  const other = child("process.once('message', (message, server) => { server.on('connection', (socket) => socket.end('child')); note('ready', server.listening); process.once('disconnect', () => server.close()); });");
  const server = await listening({}, (socket) => socket.end('parent'));
  const { port } = server.address();
  other.send('server', server);
  await once(other, 'message');
  await new Promise((resolve) => server.close(resolve));
  console.log(await text(net.connect(port, '127.0.0.1')));
  other.disconnect();`);
program('a server that parent and child have serves everybody', `
  const other = child("process.once('message', (message, server) => { server.on('connection', (socket) => socket.end('x')); note('ready'); process.once('disconnect', () => server.close()); });");
  const server = await listening({}, (socket) => socket.end('x'));
  other.send('server', server);
  const before = await ask(server);
  await once(other, 'message');
  console.log(before, (await Promise.all(Array.from({ length: 20 }, () => ask(server)))).join(''));
  server.close();
  other.disconnect();`);
program('a server on a path', `
  const path = '\\0troupe-send-' + process.pid;
  const other = child("process.once('message', (message, server) => { server.on('connection', (socket) => socket.end('child')); note('ready'); process.once('disconnect', () => server.close()); });");
  const server = net.createServer((socket) => socket.end('parent')).listen(path);
  await once(server, 'listening');
  other.send('server', server);
  await once(other, 'message');
  await new Promise((resolve) => server.close(resolve));
  console.log(await text(net.connect(path)));
  other.disconnect();`);
program('a child sends its server to its parent', `
  const { fork: start } = require('node:child_process');
  const other = start('child', [], { env: { ...process.env }, execArgv: ['-e', \`
    const server = require(process.env.MODULE).createServer().listen(0, '127.0.0.1', () =>
      process.send('mine', server, () => { server.close(); process.disconnect(); }));\`] });
  const [message, server] = await once(other, 'message');
  console.log(message);
  server.on('connection', (socket) => socket.end('parent'));
  console.log(await ask(server));
  server.close();`);
program('connections that a child has are counted, and hold the end of the server', `
  const other = child("const sockets = []; process.on('message', (message, socket) => { if (socket) { sockets.push(socket); note('has', sockets.length); } else { sockets.pop().end(); } });");
  const server = await listening({ pauseOnConnect: true }, (socket) => other.send('yours', socket));
  const clients = [];
  for (let i = 1; i <= 2; i++) {
    clients.push(net.connect(server.address().port, '127.0.0.1').resume());
    await once(other, 'message');
  }
  server.getConnections((error, count) => {
    console.log(error, count);
    server.close((failure) => { console.log('closed', failure); other.disconnect(); });
    other.send('end');
    clients.at(-1).on('close', () => { console.log('one has ended'); other.send('end'); });
  });`);
program('a child that dies takes its connections along', `
  const other = child("process.on('message', () => note('here'));");
  const server = await listening({ pauseOnConnect: true }, (socket) => other.send('yours', socket));
  const client = net.connect(server.address().port, '127.0.0.1').resume();
  client.on('error', () => {});
  await once(other, 'message');
  const over = new Promise((resolve) => server.close(resolve));
  other.kill();
  await over;
  console.log(server.listening);`);
program('what cannot be sent', `
  const other = child("process.on('message', (message, it) => note(message, it));");
  for (const what of [new net.Socket(), net.createServer(), {}, 5]) {
    try {
      console.log(other.send('nothing', what));
    } catch (error) {
      console.log(error.name, error.code, error.message);
    }
  }
  let count = 0;
  other.on('message', () => { if (++count === 2) { other.disconnect(); } });`);
program('sockets as the standard streams of a child', `
  const server = await listening({ pauseOnConnect: true }, (socket) => {
    const other = spawn('tr', ['a-z', 'A-Z'], { stdio: [socket, socket, 'inherit'] });
    socket.destroy();
    server.close();
  });
  console.log(await ask(server, 'said by a client'));`);
program('a socket on a path', `
  const path = '\\0troupe-send-' + process.pid;
  const other = child("process.once('message', (message, socket) => { socket.end('child'); process.disconnect(); });");
  const server = net.createServer((socket) => { other.send('yours', socket); server.close(); }).listen(path);
  await once(server, 'listening');
  console.log(await text(net.connect(path)));`);
program('a handle in the place of a stream of a child', `
  const source = "require('net').createServer((socket) => socket.end('child')).listen({ fd: 3 }, () => process.send('ready'))";
  const server = await listening({}, (socket) => socket.end('parent'));
  const { port } = server.address();
  const other = spawn(process.execPath, ['-e', source], { stdio: ['inherit', 'inherit', 'inherit', server._handle, 'ipc'] });
  await once(other, 'message');
  await new Promise((resolve) => server.close(resolve));
  console.log(await text(net.connect(port, '127.0.0.1')));
  other.kill();`);
program('who hears of a channel that is closed', `
  const other = child("");
  await once(other, 'exit');
  const server = await listening({});
  other.on('error', (error) => console.log('error', error.code));
  other.send('late', server, (error) => { console.log(error.code); other.send('later', server); server.close(); });`);
