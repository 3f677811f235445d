// net.BlockList, over the library's. It is one of Node's as well, with the same rules, so that it can be cloned and sent to
// another thread: only Node's own objects can be, and what arrives there is Node's.
'use strict';

const { inspect } = require('node:util');
const net = require('./node_net');
const { invalidAddress, invalidValue, outOfRange } = require('./errors');
const check = require('./validate');
const { native } = require('./native');
const { SocketAddress } = require('./socket_address');

function isAddress(value) {
  return value instanceof net.SocketAddress;
}

function familyOf(type) {
  return type === 'ipv6' ? 6 : type === 'ipv4' ? 4 : 0;
}

// An argument that is an address, and its family: [text, family].
function read(value, name, type) {
  if (isAddress(value)) {
    return [value.address, familyOf(value.family)];
  }
  check.aString(value, name);
  check.aString(type, 'family');
  const family = familyOf(type.toLowerCase());
  if (family === 0) {
    throw invalidValue('options.family', type);
  }
  return [value, family];
}

function must(result) {
  if (result < 0) {
    throw invalidAddress();
  }
}

// A text that has to be an address of the family before anything else is looked at.
function mustBe(text, family) {
  if (typeof native.parse(text, family, 0, 0) !== 'string') {
    throw invalidAddress();
  }
}

class BlockList extends net.BlockList {
  static [Symbol.hasInstance](value) {
    return Function.prototype[Symbol.hasInstance].call(this === BlockList ? net.BlockList : this, value);
  }

  #list = native.listNew();

  addAddress(address, type = 'ipv4') {
    const [text, family] = read(address, 'address', type);
    must(native.listAdd(this.#list, family, text));
    super.addAddress(address, type);
  }

  addRange(start, end, type = 'ipv4') {
    const [from, fromFamily] = read(start, 'start', type);
    mustBe(from, fromFamily);
    const [to, toFamily] = read(end, 'end', type);
    mustBe(to, toFamily);
    if (native.listAddRange(this.#list, from, to) < 0) {
      const shown = isAddress(start) ? start : new SocketAddress({ address: from, family: type });
      throw invalidValue('start', shown, 'must come before end');
    }
    super.addRange(start, end, type);
  }

  addSubnet(network, prefix, type = 'ipv4') {
    const [text, family] = read(network, 'network', type);
    mustBe(text, family);
    check.aNumber(prefix, 'prefix');
    const most = family === 4 ? 32 : 128;
    if (!Number.isInteger(prefix)) {
      throw outOfRange('prefix', 'an integer', prefix);
    }
    if (prefix < 0 || prefix > most) {
      throw outOfRange('prefix', `>= 0 && <= ${most}`, prefix);
    }
    must(native.listAdd(this.#list, family, text, prefix));
    super.addSubnet(network, prefix, type);
  }

  check(address, type = 'ipv4') {
    if (isAddress(address)) {
      return native.listCheck(this.#list, familyOf(address.family), address.address);
    }
    check.aString(address, 'address');
    check.aString(type, 'family');
    const family = familyOf(type.toLowerCase());
    return family !== 0 && native.listCheck(this.#list, family, address);
  }

  get rules() {
    return native.listRules(this.#list);
  }

  [inspect.custom](depth, options) {
    if (depth < 0) {
      return '[BlockList]';
    }
    const inner = options.depth === null ? null : options.depth - 1;
    return `BlockList ${inspect({ rules: this.rules }, { ...options, depth: inner })}`;
  }
}

module.exports = { BlockList };
