// Finds the addon: where an installation built it, or where TROUPE_NET_ADDON says.
'use strict';

const path = require('node:path');

module.exports = require(process.env.TROUPE_NET_ADDON || path.join(__dirname, '..', 'build', 'troupe_net.node'));
