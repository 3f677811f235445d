// TLS over our sockets and over Node's: what a program hears is the same.
'use strict';

const { once } = require('node:events');
const tls = require('node:tls');
const { closed, compare } = require('./compare');
const certificate = require('./certificate');

const trusting = { rejectUnauthorized: false };

// A TLS server that gets its connections from a server of `net`.
function serve({ net, listen }, onSecure, options) {
  const above = tls.createServer(certificate, onSecure);
  return listen(options, (socket) => above.emit('connection', socket)).then(({ server, port }) => ({ above, server, port, net }));
}

async function text(stream) {
  let all = '';
  for await (const part of stream) {
    all += part;
  }
  return all;
}

compare('tls', {
  async 'over a socket that is connected'({ net, note, listen }) {
    const { server, port } = await serve({ net, listen }, (socket) => socket.end('hello'));
    const plain = net.connect(port, '127.0.0.1');
    await once(plain, 'connect');
    const socket = tls.connect({ socket: plain, ...trusting });
    note(socket.encrypted, socket.authorized);
    socket.on('error', (failure) => note('error', failure));
    note(await text(socket));
    note(socket.destroyed);
    server.close();
  },
  async 'over a socket that connects'({ net, note, listen }) {
    const { server, port } = await serve({ net, listen }, (socket) => socket.pipe(socket));
    const socket = tls.connect({ socket: net.connect(port, '127.0.0.1'), ...trusting });
    await once(socket, 'secureConnect');
    socket.end('to and fro');
    note(await text(socket));
    server.close();
  },
  async 'the socket below closes first'({ net, note, listen }) {
    for (const [who, how] of [['client', 'end'], ['client', 'destroy'], ['server', 'end'], ['server', 'destroy']]) {
      const accepted = new Promise((resolve) => {
        serve({ net, listen }, resolve).then(({ server, port }) => {
          const plain = net.connect(port, '127.0.0.1').on('close', (hadError) => note(who, how, 'plain', hadError));
          const above = tls.connect({ socket: plain, ...trusting }).on('close', (hadError) => note(who, how, 'tls', hadError));
          above.resume().once('secureConnect', async () => {
            const socket = (await accepted).resume().on('error', () => {});
            (who === 'client' ? above : socket)[how]();
            server.close();
          });
          over = closed(above);
        });
      });
      let over;
      await accepted;
      await over;
    }
  },
  async 'over a socket that connects later'({ net, note, listen }) {
    const { server, port } = await serve({ net, listen }, (socket) => {
      socket.write('hello');
      socket.resume().on('end', () => note('server end'));
    });
    const plain = new net.Socket();
    const socket = tls.connect({ socket: plain, ...trusting });
    setImmediate(() => plain.connect(port, '127.0.0.1'));
    await once(socket, 'secureConnect');
    const [data] = await once(socket, 'data');
    note(String(data));
    socket.end();
    await closed(server.close());
  },
  async 'over a socket that is destroyed before it connects'({ net, note }) {
    const plain = new net.Socket();
    const socket = tls.connect({ socket: plain, ...trusting });
    socket.on('error', (failure) => note(failure.code === undefined));
    plain.destroy();
    await closed(socket);
    note(socket.destroyed);
  },
  async 'over a socket that is refused'({ net, note }) {
    const socket = tls.connect({ socket: net.connect(1, '127.0.0.1'), ...trusting });
    socket.on('error', (failure) => note('error', failure));
    await closed(socket);
  },
  async 'a TLSSocket of the server\'s side'({ net, note, listen }) {
    const { server, port } = await listen({}, (plain) => {
      const socket = new tls.TLSSocket(plain, { isServer: true, ...certificate });
      socket.on('secure', () => note('secure'));
      socket.on('data', (data) => socket.end(`${data} yourself`));
    });
    const socket = tls.connect({ port, host: '127.0.0.1', ...trusting }, () => socket.write('you'));
    note(await text(socket));
    server.close();
  },
  async 'TLS begins in the middle of a connection'({ net, note, listen }) {
    const { server, port } = await listen({}, (plain) => {
      plain.once('data', (data) => {
        note(String(data));
        plain.write('go on', () => {
          const socket = new tls.TLSSocket(plain, { isServer: true, ...certificate });
          socket.on('data', (secret) => socket.end(`heard: ${secret}`));
        });
      });
    });
    const plain = net.connect(port, '127.0.0.1');
    plain.write('STARTTLS');
    note(String((await once(plain, 'data'))[0]));
    const socket = tls.connect({ socket: plain, ...trusting }, () => socket.write('a secret'));
    note(await text(socket));
    server.close();
  },
  async 'addresses'({ net, note, listen }) {
    const heard = [];
    const { server, port } = await serve({ net, listen }, (socket) => {
      heard.push(socket.remoteAddress, socket.remoteFamily, typeof socket.remotePort, socket.localPort === port);
      socket.end();
    });
    const plain = net.connect(port, '127.0.0.1');
    const socket = tls.connect({ socket: plain, ...trusting });
    await once(socket, 'secureConnect');
    note(socket.remoteAddress, socket.remotePort === port, socket.address().family, socket.localPort === plain.localPort);
    await closed(socket.resume());
    note(socket.remoteAddress ?? 'none', socket.localAddress ?? 'none');
    note(heard);
    server.close();
  },
  async 'the peer ends without the closing message'({ net, note, listen }) {
    let served;
    const { server, port } = await serve({ net, listen }, (socket) => {
      socket.on('data', (data) => note(String(data)));
      socket.on('end', () => note('end'));
      socket.on('error', (failure) => note('error', failure));
      served = closed(socket).then((hadError) => note('close', hadError ?? false));
    });
    const plain = net.connect(port, '127.0.0.1');
    const socket = tls.connect({ socket: plain, ...trusting });
    socket.on('error', (failure) => note('client error', failure));
    await once(socket, 'secureConnect');
    socket.write('hi');
    socket.write('', () => plain.end());
    await Promise.all([closed(socket.resume()), once(server.close(), 'close')]);
    await served;
  },
  async 'what is no TLS'({ net, note, listen }) {
    const { server, port, above } = await serve({ net, listen }, () => {});
    above.on('tlsClientError', (failure, socket) => note(failure.code, socket.remoteAddress));
    const client = net.connect(port, '127.0.0.1');
    client.on('error', (failure) => note(failure));
    client.write('GET / HTTP/1.0\r\n\r\n');
    await closed(client.resume());
    server.close();
  },
  async 'half-open'({ net, note, listen }) {
    const above = tls.createServer({ ...certificate, allowHalfOpen: true }, async (socket) => socket.end(`got ${await text(socket)}`));
    const { server, port } = await listen({ allowHalfOpen: true }, (socket) => above.emit('connection', socket));
    const socket = tls.connect({ socket: net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }), ...trusting });
    socket.end('all of it');
    note(await text(socket));
    server.close();
  },
  async 'what a socket over one that connects says of itself'({ net, note, listen }) {
    const { server, port } = await serve({ net, listen }, (socket) => socket.resume());
    const plain = net.connect(port, '127.0.0.1');
    const socket = tls.connect({ socket: plain, ...trusting });
    const say = (what) => note(what, socket.connecting, socket.pending, socket.readyState);
    say('at first');
    plain.on('connect', () => say('connected below'));
    socket.on('connect', () => say('connect'));
    await once(socket, 'secureConnect');
    say('secure');
    socket.end();
    server.close();
    await closed(socket);
  },
  async 'nobody is there'({ net, note, listen }) {
    const { server, port } = await listen();
    await closed(server.close());
    const socket = tls.connect({ socket: net.connect(port, '127.0.0.1'), ...trusting });
    socket.on('error', (failure) => note(failure, socket.connecting)).on('close', (hadError) => note('close', hadError));
    await closed(socket);
  },
  async 'a reset below'({ net, note, listen }) {
    let below = null;
    const { server, port } = await listen({}, (socket) => {
      below = socket;
      above.emit('connection', socket);
    });
    const above = tls.createServer(certificate, (socket) => socket.on('error', () => {}));
    const socket = tls.connect({ socket: net.connect(port, '127.0.0.1'), ...trusting });
    socket.resume().on('error', (failure) => note(failure)).on('close', (hadError) => note('close', hadError));
    await once(socket, 'secureConnect');
    setTimeout(() => below.resetAndDestroy(), 20); // the session has been told by then
    await closed(socket);
    server.close();
  },
});
