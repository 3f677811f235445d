// Runs programs with Node's net and with ours: what they note must be the same.
'use strict';

const assert = require('node:assert');
const { once } = require('node:events');
const fs = require('node:fs');
const test = require('node:test');
const { isDeepStrictEqual } = require('node:util');
const { setTimeout: wait } = require('node:timers/promises');
const { node, troupe } = require('./both');

const LIMIT_MS = 10000;
let folders = 0;

// What a program gets: the module, a way to note things, a folder of its own, and helpers.
function context(net) {
  const notes = [];
  const folder = `/tmp/troupe-programs-${process.pid}-${folders++}`;
  fs.mkdirSync(folder);
  const plain = (text) => text.replaceAll(folder, '@').replace(/:\d{4,5}\b/g, ':PORT');
  const note = (...words) => notes.push(plain(words.map((word) => (typeof word === 'string' ? word : show(word))).join(' ')));
  return {
    net, note, notes, folder,
    // A listening server and its port.
    async listen(options, onConnection, where = { port: 0, host: '127.0.0.1' }) {
      const server = net.createServer(options, onConnection);
      server.listen(where);
      await once(server, 'listening');
      return { server, port: server.address().port };
    },
    // A client and the server's side of it; the server is closed.
    async pair(serverOptions = {}, clientOptions = {}) {
      const server = net.createServer(serverOptions);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const client = net.connect({ port: server.address().port, host: '127.0.0.1', ...clientOptions });
      const [[socket]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
      server.close();
      return { client, socket, server };
    },
    watch(name, emitter, ...events) {
      for (const event of events) {
        emitter.on(event, (...values) => note(name, event, ...values.map((value) =>
          (Buffer.isBuffer(value) ? `${value.length} bytes` : value instanceof Error ? error(value) : value))));
      }
    },
    error,
  };
}

// once() rejects when there is an error first.
function closed(emitter) {
  return new Promise((resolve) => emitter.on('close', resolve));
}

function show(value) {
  return value instanceof Error ? error(value) : typeof value === 'bigint' ? `${value}n` : JSON.stringify(value) ?? String(value);
}

function error(value) {
  const { name, code, errno, syscall, address, port, message } = value;
  return JSON.stringify({ name, code, errno, syscall, address, port: port && (port > 1023 ? 'PORT' : port), message });
}

async function play(net, program) {
  const given = context(net);
  const limit = new AbortController();
  try {
    await Promise.race([
      program(given),
      wait(LIMIT_MS, undefined, { signal: limit.signal, ref: true }).then(() => given.note('HANGS'), () => {}),
    ]);
  } catch (failure) {
    given.note('THROWS', failure);
  }
  limit.abort();
  fs.rmSync(given.folder, { recursive: true });
  return given.notes;
}

// Plays each with both; `programs` is {name: program}.
function compare(title, programs) {
  test(title, { concurrency: 4 }, async (t) => {
    await Promise.all(Object.entries(programs).map(([name, program]) => t.test(name, async () => {
      // Some have clocks in them: on a busy machine Node itself does not always tell the same story. A difference that is
      // really there is there each time.
      let expected;
      let found;
      for (let attempt = 0; attempt < 3; attempt++) {
        expected = await play(node, program);
        found = await play(troupe, program);
        if (isDeepStrictEqual(found, expected)) {
          break;
        }
      }
      assert.deepStrictEqual(found, expected);
      assert.ok(expected.length > 0, `${name} notes nothing`);
      assert.ok(!expected.some((line) => /HANGS|THROWS/.test(line)), expected.join('\n'));
    })));
  });
}

module.exports = { closed, compare };
