// Builds the addon with CMake, for the Node that runs this: npm does so when the package is installed.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const build = path.join(root, 'build');
const cmake = path.join(build, 'cmake');

function run(...args) {
  const { status, error, stdout, stderr } = spawnSync('cmake', args, { encoding: 'utf8' });
  if (status !== 0) {
    process.stderr.write(`${stdout ?? ''}${stderr ?? ''}${error ? `${error.message}\n` : ''}
troupe-net could not be built. It needs CMake 3.25, a C compiler, pkg-config, libzmq and protobuf-c with its compiler, and
Node's headers beside the node executable (or TROUPE_NODE_INCLUDE in the environment, the folder of node_api.h). On Debian:
  apt-get install cmake gcc make pkg-config libzmq3-dev libprotobuf-c-dev protobuf-c-compiler
`);
    process.exit(1);
  }
}

const include = process.env.TROUPE_NODE_INCLUDE;
run('-S', root, '-B', cmake, '-DCMAKE_BUILD_TYPE=Release', `-DTROUPE_NODE=${process.execPath}`,
  ...(include ? [`-DTROUPE_NODE_INCLUDE=${include}`] : []));
run('--build', cmake, '--parallel');
fs.copyFileSync(path.join(cmake, 'troupe_net.node'), path.join(build, 'troupe_net.node'));
fs.rmSync(cmake, { recursive: true });
