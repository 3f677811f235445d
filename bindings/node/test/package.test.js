// The package as somebody gets it: packed, installed in a new folder, and used.
'use strict';

const assert = require('node:assert');
const { execFile, spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { promisify } = require('node:util');

const run = promisify(execFile);
const root = path.join(__dirname, '..');

test('npm install of the packed package, and five lines of echo', async (t) => {
  const { TROUPE_NET_ADDON, ...env } = process.env;
  const folder = fs.mkdtempSync(path.join(process.env.TROUPE_BUILD_DIR ?? '/tmp', 'package-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  // Packing leaves things in the folder for a moment: of a copy.
  const tree = path.join(folder, 'tree');
  for (const name of ['LICENSE', 'actors', 'bindings', 'core', 'include', 'proto']) {
    fs.cpSync(path.join(root, '..', '..', name), path.join(tree, name), { recursive: true });
  }
  const { stdout } = await run('npm', ['pack', '--pack-destination', folder], { cwd: path.join(tree, 'bindings', 'node'), env });
  const file = path.join(folder, stdout.trim().split('\n').at(-1));
  fs.rmSync(tree, { recursive: true });

  const user = path.join(folder, 'user');
  fs.mkdirSync(user);
  await run('npm', ['init', '-y'], { cwd: user, env });
  await run('npm', ['install', '--no-audit', '--no-fund', file], { cwd: user, env });
  fs.writeFileSync(path.join(user, 'echo.js'), `const net = require('troupe-net');
const server = net.createServer((socket) => {
  socket.pipe(socket);
});
server.listen(0, () => console.log(server.address().port));
`);
  const child = spawn(process.execPath, ['echo.js'], { cwd: user, env, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill());
  const port = Number(await new Promise((resolve) => child.stdout.once('data', resolve)));
  const answer = await new Promise((resolve, reject) => {
    const socket = require('node:net').connect(port, '127.0.0.1');
    let text = '';
    socket.setEncoding('utf8').on('data', (data) => {
      text += data;
    }).on('end', () => resolve(text)).on('error', reject).end('hello');
  });
  assert.strictEqual(answer, 'hello');
});
