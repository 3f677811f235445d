// net.SocketAddress. It is one of Node's as well, so that it can be cloned and sent to another thread.
'use strict';

const net = require('./node_net');
const { inspect } = require('node:util');
const { invalidAddress, invalidType, invalidValue, outOfRange } = require('./errors');
const check = require('./validate');
const { native } = require('./native');

const FAMILIES = { ipv4: 4, ipv6: 6 };

class SocketAddress extends net.SocketAddress {
  #address;
  #port;
  #family;
  #flowlabel;

  static [Symbol.hasInstance](value) {
    return Function.prototype[Symbol.hasInstance].call(this === SocketAddress ? net.SocketAddress : this, value);
  }

  constructor(options = {}) {
    if (options === null || typeof options !== 'object' || Array.isArray(options)) {
      throw invalidType('options', 'of type object', options);
    }
    const { family = 'ipv4' } = options;
    const known = typeof family?.toLowerCase === 'function' ? family.toLowerCase() : family;
    if (known !== 'ipv4' && known !== 'ipv6') {
      throw invalidValue('options.family', family);
    }
    const { address = known === 'ipv4' ? '127.0.0.1' : '::', port = 0, flowlabel = 0 } = options;
    check.aString(address, 'options.address');
    const number = check.aPort(port, 'options.port');
    check.aNumber(flowlabel, 'options.flowlabel');
    if (!Number.isInteger(flowlabel)) {
      throw outOfRange('options.flowlabel', 'an integer', flowlabel);
    }
    if (flowlabel < 0 || flowlabel > 0xffffffff) {
      throw outOfRange('options.flowlabel', '>= 0 && <= 4294967295', flowlabel);
    }
    if (flowlabel > 0xfffff) { // Node dies
      throw outOfRange('options.flowlabel', '>= 0 && <= 1048575', flowlabel);
    }
    const usual = native.parse(address, FAMILIES[known], number, flowlabel);
    if (typeof usual !== 'string') {
      throw invalidAddress();
    }
    super({ address, port: number, family: known, flowlabel });
    this.#address = usual;
    this.#port = number;
    this.#family = known;
    this.#flowlabel = known === 'ipv6' ? flowlabel : 0;
  }

  get address() {
    return this.#address;
  }

  get port() {
    return this.#port;
  }

  get family() {
    return this.#family;
  }

  get flowlabel() {
    return this.#flowlabel;
  }

  toJSON() {
    return { address: this.address, port: this.port, family: this.family, flowlabel: this.flowlabel };
  }

  [inspect.custom](depth, options) {
    if (depth < 0) {
      return '[SocketAddress]';
    }
    const inner = options.depth === null ? null : options.depth - 1;
    return `SocketAddress ${inspect(this.toJSON(), { ...options, depth: inner })}`;
  }
}

module.exports = { SocketAddress };
