// Node's net, and ours.
'use strict';

const node = require('node:net');
const troupe = require('..');

module.exports = { both: [node, troupe], node, troupe };
