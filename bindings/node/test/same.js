// Programs in processes of their own: each is run with Node's net and with ours, and must print the same.
'use strict';

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');

const ours = path.join(__dirname, '..');

function run(module, program, flags = []) {
  return new Promise((resolve) => {
    const source = `const net = require(${JSON.stringify(module)});\n${program}`;
    const child = spawn(process.execPath, [...flags, '-e', source], { timeout: 30000, env: { ...process.env, MODULE: module } });
    let output = '';
    child.stdout.on('data', (data) => {
      output += data;
    });
    child.stderr.on('data', (data) => {
      output += data;
    });
    child.on('close', (code, signal) => resolve(`${output}exit ${code ?? signal}`));
  });
}

function same(name, program, flags) {
  test(name, async () => {
    const [expected, found] = await Promise.all([run('node:net', program, flags), run(ours, program, flags)]);
    assert.strictEqual(found, expected);
  });
}

module.exports = { ours, run, same };
