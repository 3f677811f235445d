// From a host to the addresses that are tried.
'use strict';

const dns = require('node:dns');
const { format } = require('node:util');
const { coded, invalidType } = require('../errors');
const check = require('../validate');
const defaults = require('../defaults');
const { native } = require('../native');
const { kSeveral } = require('./symbols');

function isIP(text) {
  return native.isIP(`${text}`);
}

function familyOfLookup(family) {
  return family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family;
}

// What connect() was asked for, checked: what the library needs of it, and what the look-up does.
function read(options) {
  const { localAddress, localPort, lookup } = options;
  const host = options.host || 'localhost';
  if (localAddress && !isIP(localAddress)) {
    throw coded(TypeError, 'ERR_INVALID_IP_ADDRESS', format('Invalid IP address: %s', localAddress));
  }
  if (localPort) {
    check.aNumber(localPort, 'options.localPort');
  }
  let { port } = options;
  if (port !== undefined) {
    if (typeof port !== 'number' && typeof port !== 'string') {
      throw invalidType('options.port', 'one of type number or string', port);
    }
    port = check.aPort(port);
  }
  let { autoSelectFamily, autoSelectFamilyAttemptTimeout: attemptTimeout } = options;
  if (autoSelectFamily !== null && autoSelectFamily !== undefined) {
    check.aBoolean(autoSelectFamily, 'options.autoSelectFamily');
  } else {
    autoSelectFamily = defaults.autoSelectFamily;
  }
  if (attemptTimeout !== null && attemptTimeout !== undefined) {
    check.anInteger(attemptTimeout, 'options.autoSelectFamilyAttemptTimeout', 1, 2 ** 31 - 1);
    attemptTimeout = Math.max(attemptTimeout, 10);
  } else {
    attemptTimeout = defaults.attemptTimeout;
  }
  return {
    host, lookup, autoSelectFamily,
    to: { host, port, localAddress: localAddress || undefined, localPort: localPort || undefined, attemptTimeout },
  };
}

// Calls `found(socket, handle, error, to)` later, if the socket still wants to know: `to` is what the library is asked for.
function lookUp(socket, handle, options, found) {
  const { host, lookup, autoSelectFamily, to } = read(options);
  if (isIP(host)) {
    process.nextTick(found, socket, handle, null, to);
    return;
  }
  check.aString(host, 'hostname');
  if (lookup !== null && lookup !== undefined) {
    check.aFunction(lookup, 'options.lookup');
  }
  const question = { family: familyOfLookup(options.family), hints: options.hints || 0 };
  if (question.family !== 4 && question.family !== 6 && question.hints === 0) {
    question.hints = dns.ADDRCONFIG;
  }
  socket._host = host;
  const ask = lookup ?? dns.lookup;
  if (autoSelectFamily && question.family !== 4 && question.family !== 6 && to.localAddress === undefined) {
    question.all = true;
    ask(host, question, (error, addresses) => {
      if (wanted(socket, handle)) {
        foundAll(socket, handle, error, addresses, to, options, found);
      }
    });
  } else {
    ask(host, question, (error, address, family) => {
      if (wanted(socket, handle)) {
        socket.emit('lookup', error, address, family, host);
        found(socket, handle, error || wrongAddress(address, family, host, options.port), { ...to, host: address, family });
      }
    });
  }
}

function wanted(socket, handle) {
  return socket._handle === handle && socket.connecting;
}

function wrongAddress(address, family, host, port) {
  if (!isIP(address)) {
    return coded(TypeError, 'ERR_INVALID_IP_ADDRESS', format('Invalid IP address: %s', address));
  }
  if (family !== 4 && family !== 6) {
    const error = coded(RangeError, 'ERR_INVALID_ADDRESS_FAMILY', `Invalid address family: ${family} ${host}:${port}`);
    error.host = host;
    error.port = port;
    return error;
  }
  return null;
}

// What a look-up of all addresses says: those that can be used, each once.
function foundAll(socket, handle, error, addresses, to, options, found) {
  const { host } = to;
  if (error) {
    socket.emit('lookup', error, undefined, undefined, host);
    found(socket, handle, error, to);
    return;
  }
  const usable = [];
  for (let i = 0; i < addresses.length; i++) { // what is no list is an error that names it, as in Node
    const address = addresses[i];
    const { address: ip, family } = address;
    socket.emit('lookup', null, ip, family, host);
    if (!wanted(socket, handle)) {
      return;
    }
    if (isIP(ip) && (family === 4 || family === 6) && !usable.includes(ip)) {
      usable.push(ip);
    }
  }
  if (usable.length === 0) {
    const { address: first, family } = addresses[0];
    found(socket, handle, wrongAddress(first, family, host, options.port), to);
  } else if (usable.length === 1) {
    found(socket, handle, null, { ...to, host: usable[0] });
  } else {
    socket[kSeveral] = true;
    socket.autoSelectFamilyAttemptedAddresses = [];
    found(socket, handle, null, { ...to, addresses: usable });
  }
}

module.exports = { isIP, lookUp };
