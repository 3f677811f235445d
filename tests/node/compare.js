// Compares what play.js and play.c printed, scenario by scenario and object by object: how events of
// different objects interleave is left to chance, the order of one object's events is not.
//
//   node compare.js NODE_OUTPUT TROUPE_OUTPUT SCENARIOS...
//   node compare.js --binding NODE_OUTPUT BINDING_OUTPUT SCENARIOS...
//
// With TROUPE_COMPARE_FAILED=FILE it writes the names of the scenarios that fail there.
//
// A difference must be written down in the scenario, after "differs: REASON", as lines that begin
// with "- " (Node) and "+ " (troupe); one that is written down must be there. Those of the Node
// binding stand after "binding differs: REASON". Ends with status 1 if anything else is found.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const binding = process.argv[2] === '--binding';
const [nodeOutput, troupeOutput, ...files] = process.argv.slice(binding ? 3 : 2);

function readDifferences() {
  const all = new Map();
  for (const file of files) {
    let current = null;
    let ours = false;
    for (const raw of fs.readFileSync(file, 'utf8').split('\n')) {
      const line = raw.trim();
      if (line.startsWith('scenario ')) {
        const key = `${path.basename(file, '.txt')}: ${line.slice(9).trim()}`;
        if (all.has(key)) {
          throw new Error(`two scenarios are called '${key}'`);
        }
        current = { reasons: [], lines: [] };
        all.set(key, current);
      } else if (/^(binding )?differs/.test(line)) {
        ours = line.startsWith('binding') === binding;
        if (ours) {
          current.reasons.push(line.slice(line.indexOf(':') + 1).trim());
        }
      } else if (/^[-+] /.test(line) && ours) {
        current.lines.push(line);
      }
    }
  }
  return all;
}

function readOutput(file) {
  const all = new Map();
  let lines = null;
  for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
    if (line.startsWith('scenario ')) {
      lines = [];
      all.set(line.slice(9), lines);
    } else if (line !== '' && lines !== null) {
      lines.push(line);
    }
  }
  for (const [name, found] of all) {
    const order = new Map();
    for (const line of found) {
      const object = line.split(' ', 1)[0];
      if (!order.has(object)) {
        order.set(object, []);
      }
      order.get(object).push(line);
    }
    all.set(name, [...order.keys()].sort().flatMap((object) => order.get(object)));
  }
  return all;
}

// The lines that one has and the other has not, by their longest common subsequence.
function difference(a, b) {
  const length = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i][j] = a[i] === b[j] ? length[i + 1][j + 1] + 1 :
        Math.max(length[i + 1][j], length[i][j + 1]);
    }
  }
  const found = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      i++;
      j++;
    } else if (j === b.length || (i < a.length && length[i + 1][j] >= length[i][j + 1])) {
      found.push(`- ${a[i++]}`);
    } else {
      found.push(`+ ${b[j++]}`);
    }
  }
  return found;
}

const node = readOutput(nodeOutput);
const troupe = readOutput(troupeOutput);
let played = 0;
let explained = 0;
let failed = 0;
const failures = [];
for (const [name, expected] of readDifferences()) {
  if (!node.has(name) && !troupe.has(name)) {
    continue; // it needs what this machine has not
  }
  played++;
  const found = difference(node.get(name) || [], troupe.get(name) || []);
  const same = found.join('\n') === expected.lines.join('\n');
  if (!same || (found.length > 0 && expected.reasons.length === 0)) {
    failed++;
    failures.push(name);
    process.stdout.write(`\n${name}\n`);
    if (expected.lines.length > 0) {
      process.stdout.write(`  expected, as "- Node" and "+ troupe":\n    ${expected.lines.join('\n    ')}\n`);
    }
    process.stdout.write(`  found${found.length === 0 ? ' no difference' : ''}:\n    ${found.join('\n    ')}\n`);
  } else if (found.length > 0) {
    explained++;
  }
}
process.stdout.write(`${played} scenarios played: ${played - failed} as expected` +
  ` (${explained} of them with differences that are documented), ${failed} not\n`);
if (process.env.TROUPE_COMPARE_FAILED !== undefined) {
  fs.writeFileSync(process.env.TROUPE_COMPARE_FAILED, failures.map((name) => `${name}\n`).join(''));
}
process.exitCode = failed > 0 || played === 0 ? 1 : 0;
