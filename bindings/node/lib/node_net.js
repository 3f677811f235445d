// Node's own net, where require('net') gives this one as well.
'use strict';

module.exports = process.getBuiltinModule?.('node:net') ?? require('node:net');
