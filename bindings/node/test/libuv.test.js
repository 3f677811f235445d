// What is looked at when the addon is loaded: the check is compiled against stand-ins for libuv's functions, and must say what is
// wrong with them.
'use strict';

const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const root = path.join(__dirname, '..');
const source = path.join(root, 'src', 'libuv_check.c');
const used = [...fs.readFileSync(source, 'utf8').matchAll(/ X\((uv_\w+)\)/g)].map(([, name]) => name);
const include = process.env.TROUPE_NODE_INCLUDE || path.join(fs.realpathSync(process.execPath), '../../include/node');
const skip = !fs.existsSync(path.join(include, 'node_api.h')) && 'the headers of this node are not beside it';

// A program that says what the check finds, where uv_version() and the sizes are these.
const main = (version, grown) => `
#include "binding.h"
#include <stdio.h>
${used.filter((name) => !/^uv_(version|version_string|handle_size|loop_size|now)$/.test(name))
    .map((name) => `#undef ${name}\n__asm__(".globl ${name}\\n${name}: ret");`).join('\n')}
unsigned int uv_version(void) { return ${version}; }
const char *uv_version_string(void) { return "1.2.3"; }
size_t uv_loop_size(void) { return sizeof(uv_loop_t)${grown === 'loop' ? ' + 8' : ''}; }
size_t uv_handle_size(uv_handle_type type) {
  switch (type) {
${['async', 'check', 'idle', 'poll', 'prepare', 'timer'].map((kind) =>
    `  case UV_${kind.toUpperCase()}: return sizeof(uv_${kind}_t)${grown === kind ? ' + 8' : ''};`).join('\n')}
  default: return 0;
  }
}
int main(void) {
  const char *objection = libuv_objection();
  puts(objection == NULL ? "fits" : objection);
}`;
const now = '#include <uv.h>\nuint64_t uv_now(const uv_loop_t *loop) { (void)loop; return 0; }\n';

function check(t, { version = 'UV_VERSION_HEX', grown, elsewhere = false }) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'troupe-libuv-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const file = (name) => path.join(folder, name);
  fs.writeFileSync(file('main.c'), main(version, grown));
  fs.writeFileSync(file('now.c'), now);
  const flags = ['-std=gnu11', '-D_GNU_SOURCE', '-fPIC', `-I${include}`, `-I${path.join(root, 'src')}`, `-I${path.join(root, '..', '..', 'include')}`];
  const objects = [file('now.c')];
  if (elsewhere) {
    execFileSync('cc', [...flags, '-shared', '-o', file('libnow.so'), file('now.c')]);
    objects[0] = file('libnow.so');
  }
  execFileSync('cc', [...flags, '-pie', '-o', file('main'), file('main.c'), source, ...objects, '-ldl']);
  return execFileSync(file('main'), { encoding: 'utf8' }).trim();
}

test('a libuv that fits', { skip }, (t) => {
  assert.strictEqual(check(t, {}), 'fits');
  assert.strictEqual(check(t, { version: 'UV_VERSION_HEX + 1' }), 'fits');
});

test('a libuv that is older than its headers', { skip }, (t) => {
  assert.match(check(t, { version: 'UV_VERSION_HEX - 1' }), /^libuv 1\.2\.3 is older than \d+\.\d+\.\d+, for which it was compiled$/);
});

test('handles and loops of other sizes', { skip }, (t) => {
  for (const kind of ['async', 'check', 'idle', 'poll', 'prepare', 'timer', 'loop']) {
    const found = check(t, { grown: kind });
    const [, there, here] = found.match(new RegExp(`^uv_${kind}_t has (\\d+) bytes in libuv 1\\.2\\.3, and (\\d+) in its headers$`)) ?? [];
    assert.strictEqual(there - here, 8, found);
  }
});

test('functions of two libraries', { skip }, (t) => {
  assert.strictEqual(check(t, { elsewhere: true }), 'uv_async_init and uv_now come from different libraries');
});

test('no function of libuv is left out', () => {
  const addon = process.env.TROUPE_NET_ADDON || path.join(root, 'build', 'troupe_net.node');
  const needed = execFileSync('nm', ['-D', '--undefined-only', addon], { encoding: 'utf8' }).match(/\buv_\w+/g);
  assert.deepStrictEqual(needed.sort(), [...used].sort());
});
