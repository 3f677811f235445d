// Plays scenarios with Node's own net module, and prints what it reports; or with the module that
// TROUPE_PLAY_NET names. play.c does the same with troupe; README.md tells the language and what is
// printed.
//
//   node play.js FOLDER PEER SCENARIOS...
'use strict';

const childProcess = require('node:child_process');
const dns = require('node:dns');
const fs = require('node:fs');
const net = require(process.env.TROUPE_PLAY_NET || 'node:net');
const path = require('node:path');
const readline = require('node:readline');

const page = require('./play/printing.js');
const { readScenarios, split } = require('./play/reading.js');

const { addressText, errorText, flags, here, plain, portText, ports, print, printData } = page;

const [folder, peerProgram, ...files] = process.argv.slice(2);
const limitMs = Number(process.env.TROUPE_PLAY_LIMIT_MS || 5000);
const has = new Set((process.env.TROUPE_PLAY_HAS || '').split(' '));
const descriptors = readDescriptors(process.env.TROUPE_PLAY_FDS || '');

// "tcp:10:11 listener:12": what the launcher made, by kind, each to be used once.
function readDescriptors(text) {
  const pools = new Map();
  for (const item of text.split(' ').filter(Boolean)) {
    const [kind, ...numbers] = item.split(':');
    if (!pools.has(kind)) {
      pools.set(kind, { next: [], last: null });
    }
    pools.get(kind).next.push(numbers.map(Number));
  }
  return pools;
}

function takeDescriptor(text) {
  if (/^-?\d+$/.test(text)) {
    return Number(text);
  }
  const [kind, other] = text.split('.');
  const pool = descriptors.get(kind);
  if (other !== undefined) {
    return pool.last[1];
  }
  pool.last = pool.next.shift();
  return pool.last[0];
}

// ---- The state ----

let scenario = null; // the one that is played
let number = 0;
let objects = new Map();
let counts = new Map();
let watchdog = null;
let over = true;

// ---- Playing ----

function fire(name, event) {
  const key = `${name} ${event}`;
  counts.set(key, (counts.get(key) || 0) + 1);
  match((wanted) => wanted.object === name && wanted.event === event &&
    wanted.count === counts.get(key));
}

function match(fits) {
  if (over) {
    return;
  }
  for (const block of scenario.blocks) {
    const hit = block.conditions.filter((wanted) => !wanted.met && fits(wanted));
    hit.forEach((wanted) => { wanted.met = true; });
    if (hit.length > 0 && block.conditions.every((wanted) => wanted.met)) {
      block.done = true;
      if (block.kind === 'on') {
        run(block);
      } else {
        const then = scenario;
        setImmediate(() => then === scenario && !over && run(block));
      }
    }
  }
}

function run(block) {
  for (const action of block.actions) {
    if (over) {
      return;
    }
    perform(action);
  }
}

function tell(object, event, text = event) {
  // Node has left its connecting state when a single attempt failed, but not when one of several did.
  const withFlags = object.socket && event !== 'connectionAttemptFailed';
  print(object.name, text + (withFlags ? flags(object.socket) : ''));
  fire(object.name, event);
}

function received(object, length) {
  object.received += length;
  match((wanted) => wanted.object === object.name && wanted.event === 'received' &&
    object.received >= wanted.bytes);
}

function onData(object) {
  return (data) => {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data; // text is UTF-8 in troupe
    printData(object, 'data', bytes, true);
    fire(object.name, 'data');
    received(object, bytes.length);
  };
}

function watchSocket(object, consume) {
  const { socket } = object;
  socket.on('lookup', (error, address, family, host) => {
    tell(object, 'lookup', error ? `lookup ${errorText(error)} host=${host}` :
      `lookup ${address} ${family} host=${host}`);
  });
  const target = (ip, port, family) =>
    (port === undefined ? plain(ip) : `${ip} ${portText(port)} ${family}`);
  socket.on('connectionAttempt', (ip, port, family) => {
    tell(object, 'connectionAttempt', `connectionAttempt ${target(ip, port, family)}`);
  });
  socket.on('connectionAttemptFailed', (ip, port, family, error) => {
    tell(object, 'connectionAttemptFailed',
      `connectionAttemptFailed ${target(ip, port, family)} ${errorText(error)}`);
  });
  socket.on('connectionAttemptTimeout', (ip, port, family) => {
    tell(object, 'connectionAttemptTimeout',
      `connectionAttemptTimeout ${target(ip, port, family)}`);
  });
  for (const event of ['connect', 'ready', 'drain', 'end', 'timeout']) {
    socket.on(event, () => tell(object, event));
  }
  socket.on('error', (error) => {
    tell(object, 'error', errorText(error));
    (error.errors || []).forEach((part) => print(object.name, `part ${errorText(part)}`));
  });
  socket.on('close', (hadError) => tell(object, 'close', `close ${Boolean(hadError)}`));
  if (consume) {
    socket.on('data', onData(object));
  }
}

function newObject(name, fields) {
  const object = { name, received: 0, offset: 0, ...fields };
  objects.set(name, object);
  return object;
}

function watchServer(object) {
  const { server } = object;
  let accepted = 0;
  server.on('listening', () => {
    const address = server.address();
    if (address !== null && typeof address === 'object') {
      ports.set(address.port, object.name);
    }
    tell(object, 'listening');
  });
  server.on('connection', (socket) => {
    accepted++;
    const connection = newObject(`${object.name}${accepted}`, { socket, server: object });
    watchSocket(connection, !object.noData);
    tell(object, 'connection', `connection ${connection.name}${flags(socket)}`);
  });
  server.on('drop', (drop) => {
    tell(object, 'drop', drop === undefined ? 'drop none' :
      `drop local=${addressText(drop.localAddress, drop.localPort, drop.localFamily)}` +
      ` remote=${addressText(drop.remoteAddress, drop.remotePort, drop.remoteFamily)}`);
  });
  server.on('error', (error) => tell(object, 'error', errorText(error)));
  server.on('close', () => tell(object, 'close'));
}

// Calls, and tells what came of it. What Node tells inside the call is printed after it: troupe
// tells nothing inside a call.
function call(object, name, body) {
  const line = { name: object.name, text: '' };
  page.write(line);
  try {
    const result = body();
    line.text = `${name}() ${typeof result === 'boolean' ? result : 'ok'}`;
  } catch (error) {
    line.text = `${name}() threw ${error.code}`;
  }
}

function portOf(text) {
  if (!text.startsWith('@')) {
    return Number(text);
  }
  for (const [port, name] of ports) {
    if (name === text.slice(1)) {
      return port;
    }
  }
  throw new Error(`no port of ${text}`);
}

// @tmp is the scenario's folder, @long:N a path in it of exactly N bytes, and \0 a zero byte.
function pathOf(text) {
  return text.replace('\\0', '\0').replace('@tmp', here())
    .replace(/@long:(\d+)/, (all, length) => `${here()}/`.padEnd(Number(length), 'x'));
}

// Printable bytes, and no short period.
const pattern = Buffer.from(Array.from({ length: 65521 },
  (none, at) => 33 + (at * 31 + Math.floor(at / 89)) % 93));

// A number of bytes of the pattern, or a text.
function content(object, text) {
  if (!/^\d+$/.test(text)) {
    return Buffer.from(text, 'latin1');
  }
  const bytes = Buffer.allocUnsafe(Number(text));
  for (let done = 0; done < bytes.length;) {
    const from = object.offset % pattern.length;
    const count = pattern.copy(bytes, done, from);
    done += count;
    object.offset += count;
  }
  return bytes;
}

function written(object, name) {
  return name === undefined ? undefined : (error) => {
    const text = error ? ` ${error.code}` : ' ok';
    print(object.name, `written ${name}${text}`);
    fire(object.name, name);
  };
}

function lookup(object, answer) {
  return (host, options, callback) => {
    object.answer = (text) => {
      const found = text.split(',').map((item) => {
        const [address, family] = item.split('/');
        return { address, family: family ? Number(family) : net.isIP(address) };
      });
      if (/^E/.test(text)) {
        const error = new Error(text);
        error.code = text;
        error.own = true;
        callback(error);
      } else if (options.all) {
        callback(null, found);
      } else {
        callback(null, found[0].address, found[0].family);
      }
    };
    // Node asks inside connect(), troupe after the callback that calls it.
    process.nextTick(() => {
      print(object.name, `lookup() host=${host} family=${options.family ?? 0} hints=${options.hints}`);
      if (answer !== 'hold') {
        setImmediate(object.answer, answer);
      }
      fire(object.name, 'lookup()');
    });
  };
}

function ownError(code) {
  return Object.assign(new Error(code), { code, own: true });
}

function onread(object, text, stop) {
  const [how, size] = text.includes(':') ? text.split(':') : ['buffer', text];
  const fresh = () => Buffer.alloc(Number(size));
  return {
    buffer: how === 'buffer' ? fresh() : () => {
      print(object.name, 'buffer()');
      return fresh();
    },
    callback: (length, buffer) => {
      printData(object, 'onread', buffer.subarray(0, length), !stop);
      received(object, length);
      fire(object.name, 'onread');
      return !stop;
    },
  };
}

// What both new Socket() and listen() take.
function addFdAndSignal(object, options, is, given) {
  if (options.fd !== undefined) {
    given.fd = takeDescriptor(options.fd);
  }
  if (is('signal')) {
    object.abort = new AbortController();
    given.signal = object.abort.signal;
    if (is('aborted')) {
      object.abort.abort();
    }
  }
}

const verbs = {
  server(name, { options, is }) {
    const object = newObject(name, { noData: is('noData') });
    const given = {};
    for (const flag of ['allowHalfOpen', 'pauseOnConnect', 'noDelay', 'keepAlive']) {
      if (is(flag)) {
        given[flag] = true;
      }
    }
    if (options.highWaterMark) {
      given.highWaterMark = Number(options.highWaterMark);
    }
    object.server = net.createServer(given);
    if (options.maxConnections) {
      object.server.maxConnections = Number(options.maxConnections);
    }
    watchServer(object);
  },

  listen(name, { options, is }) {
    const object = objects.get(name);
    const given = {};
    if (options.port !== undefined) {
      given.port = portOf(options.port);
    }
    if (options.host !== undefined) {
      given.host = options.host;
    }
    if (options.path !== undefined) {
      given.path = pathOf(options.path);
    }
    if (options.backlog !== undefined) {
      given.backlog = Number(options.backlog);
    }
    addFdAndSignal(object, options, is, given);
    for (const flag of ['ipv6Only', 'exclusive', 'readableAll', 'writableAll']) {
      if (is(flag)) {
        given[flag] = true;
      }
    }
    if (given.path === undefined && given.fd === undefined && given.port === undefined) {
      given.port = 0;
    }
    call(object, 'listen', () => object.server.listen(
      options.like ? objects.get(options.like).server : given));
  },

  closeServer(object, { options }) {
    call(object, 'close', () => object.server.close(
      options.cb && ((error) => print(object.name, `closed ${error ? error.code : 'ok'}`))));
  },

  dispose(name) {
    const object = objects.get(name);
    call(object, 'asyncDispose', () => {
      object.server[Symbol.asyncDispose]().then(() => print(name, 'disposed'),
        (error) => print(name, `disposed ${error.code}`));
    });
  },

  address(name) {
    const object = objects.get(name);
    const address = object.server.address();
    print(name, `address ${address === null ? 'none' : typeof address === 'string' ?
      plain(address) : addressText(address.address, address.port, address.family)}`);
  },

  listening(name) {
    print(name, `listening ${objects.get(name).server.listening}`);
  },

  connections(name) {
    const object = objects.get(name);
    call(object, 'getConnections', () => object.server.getConnections((error, count) => {
      print(name, `connections ${error ? error.code : count}`);
      fire(name, 'connections');
    }));
  },

  maxConnections(name, { rest }) {
    objects.get(name).server.maxConnections = Number(rest[0]);
  },

  // net.createConnection(): the short forms, where port and host or the path are all.
  open(name, { options, rest, is }) {
    const object = newObject(name, {});
    const { port, host, path: where, ...others } = options;
    const given = {};
    for (const [key, value] of Object.entries(others)) {
      given[key] = Number(value);
    }
    if (is('allowHalfOpen')) {
      given.allowHalfOpen = true;
    }
    call(object, 'createConnection', () => {
      if (rest.length > 0 || Object.keys(others).length > 0) {
        object.socket = net.createConnection({ port: portOf(port), host, ...given });
      } else if (where !== undefined) {
        object.socket = net.createConnection(pathOf(where));
      } else {
        object.socket = host === undefined ? net.createConnection(portOf(port)) :
          net.connect(portOf(port), host);
      }
      watchSocket(object, true);
    });
  },

  socket(name, { options, is }) {
    const object = newObject(name, {});
    const given = {};
    for (const flag of ['allowHalfOpen', 'noDelay', 'keepAlive', 'readable', 'writable']) {
      if (is(flag)) {
        given[flag] = true;
      }
    }
    if (options.highWaterMark !== undefined) {
      given.highWaterMark = Number(options.highWaterMark);
    }
    if (options.onread !== undefined) {
      given.onread = onread(object, options.onread, is('stop'));
    }
    addFdAndSignal(object, options, is, given);
    try {
      object.socket = new net.Socket(given);
    } catch (error) {
      print(name, `socket() threw ${error.code}`);
      return;
    }
    print(name, `socket() ok${flags(object.socket)}`);
    watchSocket(object, !is('noData'));
    if (options.timeout !== undefined) {
      object.socket.setTimeout(Number(options.timeout));
    }
  },

  connect(name, { options }) {
    const object = objects.get(name);
    const given = {};
    for (const [key, value] of Object.entries(options)) {
      switch (key) {
        case 'host': case 'localAddress': given[key] = value; break;
        case 'port': case 'localPort': given[key] = portOf(value); break;
        case 'path': given[key] = pathOf(value); break;
        case 'lookup': given[key] = lookup(object, value); break;
        case 'autoSelectFamily': given[key] = value === 'on'; break;
        case 'attemptTimeout': given.autoSelectFamilyAttemptTimeout = Number(value); break;
        default: given[key] = Number(value);
      }
    }
    call(object, 'connect', () => object.socket.connect(given));
  },

  answer(name, { rest }) {
    objects.get(name).answer(rest[0]);
  },

  write(name, { rest, options }) {
    const object = objects.get(name);
    if (options.as !== undefined) {
      call(object, 'write',
        () => object.socket.write(rest[0], options.as, written(object, options.cb)));
      return;
    }
    const bytes = content(object, rest[0]);
    call(object, 'write', () => object.socket.write(bytes, written(object, options.cb)));
  },

  end(name, { rest, options }) {
    const object = objects.get(name);
    const done = written(object, options.cb);
    const args = options.as !== undefined ? [rest[0], options.as] :
      rest.length > 0 ? [content(object, rest[0])] : [];
    call(object, 'end', () => object.socket.end(...args, ...(done ? [done] : [])));
  },

  destroy(name, { options }) {
    const object = objects.get(name);
    call(object, 'destroy',
      () => object.socket.destroy(options.error && ownError(options.error)));
  },

  abort(name) {
    objects.get(name).abort.abort();
  },

  timeout(name, { rest }) {
    const object = objects.get(name);
    call(object, 'setTimeout', () => object.socket.setTimeout(Number(rest[0])));
  },

  noDelay(name, { rest }) {
    const object = objects.get(name);
    call(object, 'setNoDelay', () => object.socket.setNoDelay(rest[0] === 'on'));
  },

  keepAlive(name, { rest }) {
    const object = objects.get(name);
    call(object, 'setKeepAlive', () => object.socket.setKeepAlive(rest[0] === 'on', Number(rest[1] ?? 0)));
  },

  encoding(name, { rest }) {
    const object = objects.get(name);
    call(object, 'setEncoding', () => object.socket.setEncoding(rest[0]));
  },

  consume(name) {
    const object = objects.get(name);
    object.socket.on('data', onData(object));
  },

  state(name) {
    const { socket } = objects.get(name);
    print(name, `state timeout=${socket.timeout || 0} paused=${socket.isPaused()}${flags(socket)}`);
  },

  counts(name) {
    const { socket } = objects.get(name);
    print(name, `counts read=${socket.bytesRead} written=${socket.bytesWritten}`);
  },

  waiting(name) {
    print(name, `waiting ${objects.get(name).socket.bufferSize ?? 0}`);
  },

  addresses(name) {
    const { socket } = objects.get(name);
    const { address, port } = socket.address();
    if (address !== socket.localAddress || port !== socket.localPort) {
      print(name, 'address() is not the local address'); // it is in troupe, having one call for both
    }
    print(name,
      `local ${addressText(socket.localAddress, socket.localPort, socket.localFamily)}` +
      ` remote ${addressText(socket.remoteAddress, socket.remotePort, socket.remoteFamily)}`);
  },

  attempted(name) {
    const { socket } = objects.get(name);
    print(name, `attempted ${(socket.autoSelectFamilyAttemptedAddresses || [])
      .map(plain).join(' ')}`);
  },

  // Whether two sockets are the two ends of one connection.
  ends(name, { rest }) {
    const a = objects.get(name).socket;
    const b = objects.get(rest[0]).socket;
    print(name, `ends ${a.localPort === b.remotePort && a.remotePort === b.localPort &&
      a.localAddress === b.remoteAddress && a.remoteAddress === b.localAddress}`);
  },

  serverOf(name) {
    const { socket } = objects.get(name);
    const owner = [...objects.values()].find((object) => object.server === socket.server);
    print(name, `server ${socket.server && owner ? owner.name : 'none'}`);
  },

  defaults(name, { rest, options }) {
    try {
      if (rest.length > 0) {
        net.setDefaultAutoSelectFamily(rest[0] === 'on');
      }
      if (options.attemptTimeout !== undefined) {
        net.setDefaultAutoSelectFamilyAttemptTimeout(Number(options.attemptTimeout));
      }
    } catch (error) {
      print(name, `threw ${error.code}`);
    }
    print(name, `${net.getDefaultAutoSelectFamily() ? 'on' : 'off'}` +
      ` ${net.getDefaultAutoSelectFamilyAttemptTimeout()}`);
  },

  exists(name) {
    print('files', `${name} ${fs.existsSync(pathOf(name))}`);
  },

  mode(name) {
    print('files', `${name} ${(fs.statSync(pathOf(name)).mode & 0o777).toString(8)}`);
  },

  file(name) {
    fs.writeFileSync(pathOf(name), '');
  },

  // Goes on when the loop has turned.
  soon(name) {
    setImmediate(() => fire(name, 'soon'));
  },

  // Only where nothing is to happen meanwhile, which no event can tell.
  wait(name, { rest }) {
    const then = scenario;
    setTimeout(() => then === scenario && fire(name, 'waited'), Number(rest[0]));
  },

  peer(name, { rest }) {
    const object = newObject(name, { peer: true });
    const script = rest.join(' ').replace(/@tmp/g, here()).replace(/@(\w+)/g,
      (all, other) => String(portOf(`@${other}`)));
    object.child = childProcess.spawn(peerProgram, [script],
      { stdio: ['pipe', 'pipe', 'inherit'] });
    object.child.stdin.on('error', () => {});
    const reader = readline.createInterface({ input: object.child.stdout });
    reader.on('line', (line) => {
      const [event, port] = line.split(' ');
      if (event === 'port') {
        if (!ports.has(Number(port))) {
          ports.set(Number(port), name);
        }
        return;
      }
      print(name, plain(line));
      fire(name, event);
    });
    reader.on('close', () => tell(object, 'exit'));
  },

  go(name) {
    objects.get(name).child.stdin.write('\n');
  },

  // The scenario is over, whatever still goes on.
  done() {
    finish(null);
  },
};

// Verbs that are methods of the same name, without arguments.
for (const [verb, method] of Object.entries({ destroySoon: 'destroySoon', reset: 'resetAndDestroy',
  pause: 'pause', resume: 'resume', ref: 'ref', unref: 'unref' })) {
  verbs[verb] = (name) => {
    const object = objects.get(name);
    call(object, method, () => (object.socket || object.server)[method]());
  };
}

function perform([verb, name, ...args]) {
  const arguments_ = split(args);
  if (verb === 'close') {
    verbs.closeServer(objects.get(name), arguments_);
  } else if (verbs[verb]) {
    verbs[verb](name, arguments_);
  } else {
    throw new Error(`${scenario.name}: what is '${verb}'?`);
  }
}

// ---- One scenario after the other, each when the loop of the one before it had nothing left ----

const scenarios = files.flatMap((file) => {
  const found = readScenarios(file);
  found.forEach((one) => { one.file = path.basename(file, '.txt'); });
  return found;
});

function start(next) {
  number++;
  scenario = next;
  objects = new Map();
  counts = new Map();
  page.begin(path.join(folder, String(number)));
  over = false;
  fs.mkdirSync(here());
  watchdog = setTimeout(() => finish('HANG'), limitMs).unref();
  run(scenario.blocks[0]);
}

function finish(how) {
  if (over) {
    return;
  }
  clearTimeout(watchdog);
  if (how !== null) {
    print('~', how);
    for (const block of scenario.blocks.slice(1).filter((one) => !one.done)) {
      const missing = block.conditions.filter((wanted) => !wanted.met);
      print('~', `never: ${missing.map((wanted) => wanted.text).join(', ')}`);
    }
  }
  over = true;
  process.stdout.write(`scenario ${scenario.file}: ${scenario.name}\n${page.end()}`);
  for (const { socket, server, child } of objects.values()) {
    if (socket) {
      socket.removeAllListeners().on('error', () => {}).destroy();
    } else if (server && typeof server.close === 'function') {
      server.removeAllListeners().on('error', () => {}).close();
    }
    if (child) {
      child.kill();
    }
  }
  net.setDefaultAutoSelectFamily(true);
  net.setDefaultAutoSelectFamilyAttemptTimeout(250);
}

process.on('beforeExit', () => {
  if (!over) {
    finish('ended');
    setImmediate(() => {}); // what was closed just now gets its turns
    return;
  }
  while (scenarios.length > 0) {
    const next = scenarios.shift();
    if (next.needs.every((one) => has.has(one))) {
      setImmediate(start, next);
      return;
    }
  }
});
