// The echo server in Node.js, over `net`, as a Node programmer writes it who minds back-pressure.
// With workers it is Node's cluster: processes that share the address, dealt connections in turns.
// usage: node echo.js [--host H] [--port P] [--work-us U] [--workers N]
'use strict';

const cluster = require('cluster');
const net = require(process.env.TROUPE_BENCH_NET || 'net'); // or a module that stands in for it
const { parseArgs } = require('util');

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '0' },
    'work-us': { type: 'string', default: '0' },
    workers: { type: 'string', default: '0' },
  },
});
const workNs = BigInt(values['work-us']) * 1000n;

function work() {
  const end = process.hrtime.bigint() + workNs;
  while (process.hrtime.bigint() < end);
}

function serve(onListening) {
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.on('data', (chunk) => {
      if (workNs !== 0n) {
        work();
      }
      if (!socket.write(chunk)) {
        socket.pause();
      }
    });
    socket.on('drain', () => socket.resume());
    socket.on('error', () => socket.destroy());
  });
  server.listen({ host: values.host, port: Number(values.port), backlog: 4096 }, () => {
    onListening(server.address().port);
  });
}

function tell(port) {
  console.log(`listening ${values.host}:${port}`);
}

const workers = Number(values.workers);
if (workers === 0) {
  serve(tell);
} else if (cluster.isWorker) {
  serve(() => {}); // ends with its parent
} else {
  let listening = 0;
  cluster.on('listening', (worker, address) => {
    if (++listening === workers) {
      tell(address.port);
    }
  });
  for (let i = 0; i < workers; i++) {
    cluster.fork();
  }
}

process.on('SIGTERM', () => process.exit(0));
