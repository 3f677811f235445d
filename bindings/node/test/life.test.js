// Processes and workers: what keeps them alive, how they end, and what they leave behind. Each program is run with Node's net
// and with ours, and must print the same.
'use strict';

const assert = require('node:assert');
const test = require('node:test');
const { ours, run, same } = require('./same');

const pair = `
function pair(then) {
  const server = net.createServer((socket) => { server.close(); then(client, socket); });
  let client;
  server.listen(0, '127.0.0.1', () => { client = net.connect(server.address().port, '127.0.0.1'); });
}
`;

same('nothing holds the process', 'console.log("over");');
same('a server that was made and does not listen holds nothing', 'net.createServer(); new net.Socket(); console.log("over");');
same('an unref\'d server lets go', 'net.createServer().listen(0).unref(); process.on("exit", () => console.log("exit"));');
same('a server that is unref\'d before it listens lets go', 'net.createServer().unref().listen(0);');
same('a server with a host that is unref\'d lets go',
  'net.createServer().unref().listen(0, "127.0.0.1", () => console.log("listening"));');
same('a server that is closed lets go', 'const s = net.createServer().listen(0, () => s.close(() => console.log("closed")));');
same('unref\'d sockets let go', `${pair}pair((client, socket) => { client.unref(); socket.unref(); console.log("both"); });`);
same('a socket that is ref\'d again holds',
  `${pair}pair((client, socket) => { client.unref(); socket.unref(); client.ref(); setTimeout(() => client.end(), 50); client.on("close", () => console.log("close")); });`);
same('a socket that is unref\'d before it connects lets go', `
  const s = net.createServer((socket) => socket.unref()).listen(0, () => { s.unref(); net.connect(s.address().port).unref(); });
  process.on("exit", () => console.log("exit"));`);
same('a timeout holds nothing', 'new net.Socket().setTimeout(100000); net.createServer().listen(0).unref();');
same('a timeout fires on a socket without a connection while something else holds', `
  const s = new net.Socket(); s.setTimeout(20, () => console.log("timeout")); setTimeout(() => console.log("over"), 200);`);
same('a socket that is unref\'d while it connects hears what comes of it', `
  const c = net.connect(1, '127.0.0.1').unref();
  c.on('error', (error) => console.log(error.code)).on('close', () => console.log('close'));`);
same('an unref\'d socket that is destroyed hears of its close', `${pair}pair((client, socket) => {
  client.unref();
  socket.destroy();
  client.on('close', () => console.log('close')).destroy();
});`);
same('a socket that nobody reads lets go', `
  const s = net.createServer((socket) => socket.unref()).listen(0, () => {
    s.unref();
    net.connect(s.address().port).on('connect', () => console.log('connect')).pause();
  });`);
same('connections that a server pauses let go', `
  const s = net.createServer({ pauseOnConnect: true }, () => { console.log('connection'); s.close(); });
  s.listen(0, () => net.connect(s.address().port).unref());`);
same('a half-open socket lets go when its peer has ended', `
  const s = net.createServer({ allowHalfOpen: true }, (socket) => {
    s.close();
    socket.resume().on('end', () => console.log('end', socket.writable)).on('close', () => console.log('close'));
  }).listen(0, () => net.connect(s.address().port).unref().end());
  process.on('exit', () => console.log('exit'));`);
// Node never closes it, which would keep the process.
same('a socket that is ending is not reset, and its peer may answer', `${pair}pair((client, socket) => {
  client.on('error', (error) => console.log(error.message, error.code, error.errno, error.syscall, client.destroyed));
  client.end('question', (failure) => console.log('ended', failure.code));
  console.log(client.resetAndDestroy() === client);
  socket.on('data', (data) => console.log(String(data))).on('error', console.log);
  socket.on('end', () => socket.write('answer', (failure) => console.log('answered', failure ?? 'well')));
  socket.on('close', (hadError) => { console.log('close', hadError); process.exit(); });
});`);
same('resources of async hooks', `
  const { createHook, executionAsyncId } = require('node:async_hooks');
  const names = new Map([[1, 'main']]);
  const lines = [];
  const hook = createHook({
    init(id, type, trigger) {
      if (/^(TCP|PIPE[CS]|SHUTDOWN)/.test(type)) { // a standard stream is a PIPEWRAP, too
        const number = [...names.values()].filter((name) => name.startsWith(type)).length;
        names.set(id, type + number);
        lines.push('init ' + type + number + ' by ' + names.get(trigger));
      }
    },
    destroy(id) {
      if (names.has(id)) {
        lines.push('destroy ' + names.get(id));
      }
    },
  }).enable();
  const mark = (what) => lines.push(what + ' in ' + names.get(executionAsyncId()));
  const watch = (who, socket) => {
    for (const event of ['connect', 'data', 'end', 'finish', 'close']) {
      socket.on(event, () => mark(who + ' ' + event));
    }
  };
  function play(where, next) {
    const server = net.createServer((socket) => {
      mark('connection');
      watch('server', socket);
      socket.once('data', () => socket.write('answer', () => mark('written')));
      server.close(next);
    });
    server.listen(where, '127.0.0.1', () => {
      mark('listening');
      const client = typeof where === 'string' ? net.connect(where) : net.connect(server.address().port, '127.0.0.1');
      watch('client', client);
      client.on('connect', () => client.write('x')).once('data', () => client.end(() => mark('ended')));
    });
  }
  play(0, () => play('\\0troupe-hooks-' + process.pid));
  process.on('exit', () => {
    hook.disable();
    console.log(lines.sort().join('\\n'));
  });`);
same('a connection for which there is no descriptor', `
  if (process.env.FEW === undefined) {
    const { spawnSync } = require('node:child_process');
    const source = process.execArgv[process.execArgv.length - 1];
    const program = 'ulimit -n 200; exec "$0" -e "$1"';
    process.stdout.write(spawnSync('bash', ['-c', program, process.execPath, source], { env: { ...process.env, FEW: '1' } }).stdout);
  } else {
    try {
      for (;;) {
        require('node:fs').openSync('/dev/null');
      }
    } catch {}
    net.connect(1, '127.0.0.1').on('error', (error) => console.log(error.message, error.port, error.syscall));
  }`);
same('the standard streams stay open', `
  const s = new net.Socket({ fd: 1, readable: false });
  s.write('through a socket\\n', () => s.destroy());
  s.on('close', () => {
    console.log('still there');
    const server = net.createServer();
    server.on('error', (error) => console.log(error.code, error.syscall)).listen({ fd: 1 });
    setTimeout(() => console.log('and there'), 20);
  });`);
same('a callback of a write that throws does not stop the others', `
  process.on('uncaughtException', (error) => console.log('uncaught', error.message));
  ${pair}pair((client, socket) => {
    socket.resume();
    client.write('x', () => { throw new Error('thrown'); });
    client.write(Buffer.alloc(1000000), (failure) => console.log('second', failure));
    client.end((failure) => console.log('end', failure));
    client.resume().on('close', () => console.log('close'));
  });`);
same('a socket as JSON, and as text', `${pair}pair((client, socket) => {
  console.log(typeof JSON.stringify(client), String(client), Object.keys(client).includes('timeout'));
  client.destroy();
  socket.destroy();
});`);
same('diagnostics channels', `
  const channels = require('node:diagnostics_channel');
  for (const name of ['net.client.socket', 'net.server.socket', 'tracing:net.server.listen:asyncStart',
    'tracing:net.server.listen:asyncEnd', 'tracing:net.server.listen:error']) {
    channels.subscribe(name, (message) => console.log(name, Object.keys(message)));
  }
  const server = net.createServer((socket) => { console.log('connection'); socket.end(); });
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    net.createServer().on('error', (error) => {
      console.log(error.code);
      net.connect(port, '127.0.0.1').resume().on('close', () => server.close());
    }).listen(port, '127.0.0.1');
  });`);
same('beforeExit is there once all is closed', `
  process.on("beforeExit", () => console.log("beforeExit"));
  ${pair}pair((client, socket) => { client.on("close", () => console.log("close")); client.end(); });`);
same('beforeExit can begin anew', `
  let once = true;
  process.on("beforeExit", () => {
    if (once) { once = false; const s = net.createServer().listen(0, () => { console.log("again"); s.close(); }); }
  });`);
same('process.exit() in a callback', `${pair}pair((client) => client.on("connect", () => { console.log("connect"); process.exit(7); }));`);
same('process.exit() inside data', `${pair}pair((client, socket) => { socket.write("x"); client.on("data", () => process.exit(3)); });`);
same('what was written before process.exit() arrives', `
  const { spawn } = require("child_process");
  const s = require("net").createServer((socket) => {
    let length = 0;
    socket.on("data", (data) => { length += data.length; });
    socket.on("end", () => console.log("received", length)).on("error", (e) => console.log(e.code)).on("close", () => s.close());
  });
  s.listen(0, "127.0.0.1", () => {
    const child = spawn(process.execPath, ["-e", \`
      const net = require(process.env.MODULE);
      const c = net.connect(\${s.address().port}, "127.0.0.1", () => { c.write(Buffer.alloc(10000)); process.exit(); });\`]);
    child.on("error", (e) => console.log(e.code));
  });`);
same('what is written while the process exits arrives', `
  const { spawn } = require("child_process");
  const s = require("net").createServer((socket) => {
    let text = "";
    socket.setEncoding("latin1").on("data", (data) => { text += data; });
    socket.on("end", () => console.log("received", text)).on("error", (e) => console.log(e.code)).on("close", () => s.close());
  });
  s.listen(0, "127.0.0.1", () => {
    const child = spawn(process.execPath, ["-e", \`
      const net = require(process.env.MODULE);
      const c = net.connect(\${s.address().port}, "127.0.0.1", () => { c.write("words, "); process.exit(); });
      process.on("exit", () => { c.write("last words, "); c.end("end"); });\`]);
    child.on("error", (e) => console.log(e.code));
  });`);
same('an exception that nobody catches', `${pair}process.on("uncaughtException", (e) => { console.log("caught", e.message); });
  pair((client, socket) => { client.on("close", () => console.log("close")); client.on("connect", () => { client.end(); throw new Error("mine"); }); });`);
same('an error that nobody listens for ends the process with 1', `
  process.on("exit", (code) => console.log("exit", code));
  process.on("uncaughtExceptionMonitor", (e) => console.log(e.code));
  console.error = () => {}; process.stderr.write = () => true;
  process.once("uncaughtException", (e) => { console.log(e.code, e.syscall); process.exit(1); });
  net.connect(1, "127.0.0.1");`);
// Where it was thrown, which is in Node, and by whom it was told; between them is where it was made, which is not.
same('what is said of an error that nobody listens for', `
  const { spawn } = require("child_process");
  const child = spawn(process.execPath, ["-e", 'require(process.env.MODULE).connect(1, "127.0.0.1");']);
  let text = "";
  child.stderr.on("data", (data) => { text += data; });
  child.on("close", (code) => {
    const lines = text.split("\\n");
    const made = lines.findIndex((line) => line.startsWith("    at "));
    console.log(code, lines.slice(0, made), lines.slice(lines.findIndex((line) => line.startsWith("Emitted"))));
  });`);
same('errors where what is built in is frozen', `
for (const where of [{}, { port: -1 }, { port: {} }]) {
  try {
    net.connect(where);
  } catch (error) {
    console.log(error.name, error.code, error.message, error.stack.split('\\n')[0]);
  }
}`, ['--frozen-intrinsics', '--no-warnings']);
same('promises and ticks run between two events of a socket', `${pair}pair((client, socket) => {
  client.on("data", (data) => {
    console.log(String(data));
    process.nextTick(() => console.log("tick"));
    Promise.resolve().then(() => console.log("promise"));
  });
  client.on("end", () => console.log("end"));
  client.on("close", () => console.log("close"));
  socket.end("hello");
});`);
same('the context of an AsyncLocalStorage', `
  const { AsyncLocalStorage } = require("async_hooks");
  const store = new AsyncLocalStorage();
  const s = store.run("server", () => net.createServer((socket) => {
    console.log("connection", store.getStore());
    socket.on("data", (data) => { console.log("server data", store.getStore()); socket.end(data); });
  }));
  store.run("listen", () => s.listen(0, "127.0.0.1", () => {
    store.run("client", () => {
      const c = net.connect(s.address().port, "127.0.0.1", () => { console.log("connect", store.getStore()); c.write("x"); });
      c.on("data", () => console.log("data", store.getStore()));
      c.on("close", () => { console.log("close", store.getStore()); s.close(); });
    });
  }));`);
same('a worker', `
  const { Worker } = require("worker_threads");
  const worker = new Worker(\`
    const net = require(process.env.MODULE);
    const s = net.createServer((socket) => socket.end("from the worker")).listen(0, "127.0.0.1", () => {
      const c = net.connect(s.address().port, "127.0.0.1");
      c.setEncoding("utf8").on("data", (text) => console.log(text)).on("close", () => s.close());
    });\`, { eval: true });
  worker.on("exit", (code) => console.log("worker", code));`);
same('captured rejections', `
  require("events").captureRejections = true;
  const s = net.createServer(async () => { throw new Error("rejected"); }).listen(0, "127.0.0.1", () => {
    const c = net.connect(s.address().port, "127.0.0.1");
    s.on("connection", (socket) => socket.on("error", (e) => { console.log(e.message); s.close(); }));
    c.on("error", () => {}).on("close", () => console.log("close")).resume();
  });`);

const workers = (body) => `
  const { Worker, isMainThread } = require("worker_threads");
  ${body}`;

// As test runners do, which begin each file with modules of its own; some of them keep addons.
const twice = (forgotten) => `
  const load = () => {
    for (const name in require.cache) if (/${forgotten}$/.test(name)) delete require.cache[name];
    return require(process.env.MODULE);
  };
  const echo = (net, name) => new Promise((resolve) => {
    const s = net.createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1", () => {
      const c = net.connect(s.address().port, "127.0.0.1", () => c.end(name));
      c.setEncoding("utf8").on("data", (text) => console.log(text)).on("close", () => s.close(resolve));
    });
  });
  const first = load();
  const second = load();
  (async () => {
    await echo(first, "first");
    await echo(second, "second");
    const s = second.createServer((socket) => socket.end("between")).listen(0, "127.0.0.1", () => {
      const c = first.connect(s.address().port, "127.0.0.1");
      c.setEncoding("utf8").on("data", (text) => console.log(text)).on("close", () => s.close());
    });
  })();`;
same('the module is loaded twice', twice(''));
same('the module is loaded twice, and its addon is not forgotten', twice('[.]js'));
same('the module is loaded twice in a worker', `
  const { Worker } = require("worker_threads");
  new Worker(${JSON.stringify(twice(''))}, { eval: true }).on("exit", (code) => console.log("worker", code));`);

test('workers that come and go, some terminated', async () => {
  const output = await run(ours, workers(`
    const source = \`
      const net = require(${JSON.stringify(ours)});
      const { parentPort } = require("worker_threads");
      const s = net.createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1", () => {
        const c = net.connect(s.address().port, "127.0.0.1", () => c.write("x"));
        c.on("data", () => { parentPort.postMessage("echo"); });
      });
      parentPort.once("message", () => process.exit());\`;
    (async () => {
      let echoes = 0;
      for (let round = 0; round < 5; round++) {
        await Promise.all([0, 1, 2].map((i) => new Promise((resolve) => {
          const worker = new Worker(source, { eval: true });
          worker.on("message", () => { echoes++; if (i === 0) worker.postMessage(0); else worker.terminate(); });
          worker.on("exit", resolve);
        })));
      }
      console.log("echoes", echoes);
    })();`));
  assert.strictEqual(output, 'echoes 15\nexit 0');
});

test('import finds every name', async () => {
  const output = await run('node:net', `
    import(${JSON.stringify(`${ours}/lib/index.js`)}).then((module) => {
      const missing = Object.keys(net).filter((name) => name[0] !== '_' && !(name in module));
      console.log('missing', missing, typeof module.default.createServer);
    });`);
  assert.strictEqual(output, 'missing [] function\nexit 0');
});

test('a process that loads it in a worker alone', async () => {
  const output = await run('node:net', workers(`
    const worker = new Worker(${JSON.stringify(`
      const net = require(${JSON.stringify(ours)});
      const s = net.createServer().listen(0, () => s.close(() => console.log("closed")));`)}, { eval: true });
    worker.on("exit", (code) => { console.log("worker", code); setTimeout(() => console.log("over"), 50); });`));
  assert.strictEqual(output, 'closed\nworker 0\nover\nexit 0');
});

test('each handle of the async hooks is destroyed once', async () => {
  const output = await run(ours, `
    const { createHook } = require("async_hooks");
    const alive = new Map();
    const again = [];
    createHook({
      init(id, type) { if (type.startsWith("TCP")) alive.set(id, type); },
      destroy(id) { if (alive.get(id) === "over") again.push(id); if (alive.has(id)) alive.set(id, "over"); },
    }).enable();
    const s = net.createServer((socket) => socket.end("bye")).listen(0, "127.0.0.1", async () => {
      for (let i = 0; i < 5; i++) {
        await new Promise((resolve) => net.connect(s.address().port, "127.0.0.1").on("close", resolve).resume());
      }
      net.connect(1, "127.0.0.1").on("error", () => {});
      net.connect(s.address().port, "127.0.0.1").destroy();
      s.close();
    });
    process.once("beforeExit", () => setTimeout(() => {
      const left = [...alive.values()].filter((type) => type !== "over");
      console.log(alive.size, "left", left, "again", again);
    }, 10));`);
  assert.strictEqual(output, '19 left [] again []\nexit 0');
});

// Also what stands for a write that waits, an end and an idle timer: a program that remembers those of each kind forgets them.
test('each of the other resources of the async hooks is destroyed once', async () => {
  const output = await run(ours, `
    const { createHook } = require("async_hooks");
    const kinds = ["WRITEWRAP", "SHUTDOWNWRAP", "Timeout"];
    const made = Object.fromEntries(kinds.map((kind) => [kind, 0]));
    const alive = new Map();
    const again = [];
    createHook({
      init(id, type) { if (kinds.includes(type)) { made[type]++; alive.set(id, type); } },
      destroy(id) { if (alive.get(id) === "over") again.push(id); if (alive.has(id)) alive.set(id, "over"); },
    }).enable();
    const s = net.createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1", async () => {
      for (let i = 0; i < 3; i++) {
        const c = net.connect(s.address().port, "127.0.0.1");
        c.setTimeout(1000).setTimeout(2000).resume();
        c.end(Buffer.alloc(8000000));
        await new Promise((resolve) => c.on("close", resolve));
      }
      const c = net.connect(s.address().port, "127.0.0.1", () => c.setTimeout(1000).setTimeout(0).setTimeout(1000).destroy());
      c.on("close", () => s.close());
    });
    process.once("beforeExit", () => setImmediate(() => {
      const left = [...alive.values()].filter((type) => type !== "over");
      console.log(made.SHUTDOWNWRAP > 3, made.WRITEWRAP > 0, made.Timeout > 7, "left", left, "again", again);
    }));`);
  assert.strictEqual(output, 'true true true left [] again []\nexit 0');
});

test('sockets that are garbage leave nothing behind', async () => {
  const output = await run(ours, `
    let left = 0;
    const registry = new FinalizationRegistry(() => { left--; });
    const s = net.createServer((socket) => { socket.resume(); }).listen(0, "127.0.0.1", async () => {
      const { port } = s.address();
      const cycle = async (count) => {
        for (let i = 0; i < count; i++) {
          await new Promise((resolve) => {
            const c = net.connect(port, "127.0.0.1", () => c.end("bye"));
            left++;
            registry.register(c);
            c.on("close", resolve).resume();
          });
          new net.Socket().setTimeout(10000).destroy();
        }
        gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
        gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
      };
      await cycle(300);
      const before = process.memoryUsage().rss;
      await cycle(1500);
      const grown = process.memoryUsage().rss - before;
      console.log(left < 50, grown < 30e6 ? "small" : grown, require("fs").readdirSync("/proc/self/fd").length < 60);
      s.close();
    });`, ['--expose-gc']);
  assert.strictEqual(output, 'true small true\nexit 0');
});

test('it may be what require(\'net\') gives', async () => {
  assert.strictEqual(await run('node:module', `
    const load = net._load;
    net._load = (request, ...rest) => load(/^(node:)?net$/.test(request) ? ${JSON.stringify(ours)} : request, ...rest);
    console.log(require('net').isIP('::1'), require('node:net') === require(${JSON.stringify(ours)}));
  `), '6 true\nexit 0');
});
