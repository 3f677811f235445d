// Reads scenarios: README.md tells the language.
'use strict';

const fs = require('node:fs');

function split(args) {
  const options = {};
  const rest = [];
  for (const arg of args) {
    const at = arg.indexOf('=');
    if (at > 0) {
      options[arg.slice(0, at)] = arg.slice(at + 1);
    } else {
      rest.push(arg);
    }
  }
  return { options, rest, is: (flag) => rest.includes(flag) };
}

function words(line) {
  return [...line.matchAll(/(?:[^\s"]|"[^"]*")+/g)].map((match) => match[0].replace(/"/g, ''));
}

// "c received 5" and "c close #2": an object, what it tells, how much or the how manieth.
function condition(text) {
  const [object, event, which] = words(text);
  if (event === 'received') {
    return { object, event, bytes: Number(which), count: 0, text: text.trim() };
  }
  return { object, event, count: which ? Number(which.slice(1)) : 1, text: text.trim() };
}

// "with tcp" and "with unix" stand for a server that takes one connection, and a client of it. What
// follows "server" and "client" is given to them.
function expand(raw) {
  return raw.map((line) => line.trim()).flatMap((line) => {
    const [word, how, ...rest] = words(line);
    if (word !== 'with') {
      return [line];
    }
    const { options } = split(rest);
    const [listen, connect] = how === 'unix' ? ['path=@tmp/s', 'path=@tmp/s'] :
      ['host=127.0.0.1', 'host=127.0.0.1 port=@s'];
    return [`server s ${options.server || ''}`, `listen s ${listen}`,
      `socket c ${options.client || ''}`, 'on s listening:', `connect c ${connect}`,
      'on s connection:', 'close s'];
  });
}

function readScenarios(file) {
  const scenarios = [];
  let scenario = null;
  let block = null;
  for (const line of expand(fs.readFileSync(file, 'utf8').split('\n'))) {
    const [word] = line.split(' ', 1);
    const rest = line.slice(word.length + 1).trim();
    if (line === '' || '#-+'.includes(line[0]) || word.startsWith('differs') || word === 'binding') {
      continue;
    } else if (word === 'scenario') {
      block = { kind: 'start', conditions: [], actions: [] };
      scenario = { name: rest, needs: [], blocks: [block] };
      scenarios.push(scenario);
    } else if (word === 'needs') {
      scenario.needs.push(rest);
    } else if (word === 'on' || word === 'when') {
      const conditions = rest.replace(/:$/, '').split(',').map(condition);
      block = { kind: word, conditions, actions: [], done: false };
      scenario.blocks.push(block);
    } else {
      block.actions.push(words(line));
    }
  }
  return scenarios;
}

module.exports = { readScenarios, split };
