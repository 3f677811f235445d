// Puts troupe's sources beside the binding's, so that the package can be built alone; --remove takes them away again.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const from = path.join(__dirname, '..', '..', '..');
const to = path.join(__dirname, '..', 'troupe');

fs.rmSync(to, { recursive: true, force: true });
if (process.argv[2] !== '--remove') {
  for (const name of ['LICENSE', 'actors', 'core', 'include', 'proto']) {
    fs.cpSync(path.join(from, name), path.join(to, name), { recursive: true });
  }
}
