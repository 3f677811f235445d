// Finds the addon: where an installation built it, or where TROUPE_NET_ADDON says.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

function load() {
  const file = path.resolve(process.env.TROUPE_NET_ADDON || path.join(__dirname, '..', 'build', 'troupe_net.node'));
  if (!fs.existsSync(file)) {
    throw new Error(`troupe-net was not built: ${file} is missing. Where npm runs no scripts of packages, this builds it:
  node ${path.join(__dirname, '..', 'scripts', 'build.js')}`);
  }
  // Not by require(): a test runner that forgets modules between files keeps addons, and the new module needs one of its own.
  const addon = { exports: {} };
  process.dlopen(addon, file);
  return addon.exports;
}

module.exports = load();
