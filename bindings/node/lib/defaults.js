// The defaults of family autoselection.
'use strict';

const net = require('./node_net');
const check = require('./validate');

// Those that Node was started with, on the command line or in NODE_OPTIONS.
const defaults = {
  autoSelectFamily: net.getDefaultAutoSelectFamily(),
  attemptTimeout: net.getDefaultAutoSelectFamilyAttemptTimeout(),

  getDefaultAutoSelectFamily() {
    return defaults.autoSelectFamily;
  },

  setDefaultAutoSelectFamily(value) {
    check.aBoolean(value, 'value');
    defaults.autoSelectFamily = value;
  },

  getDefaultAutoSelectFamilyAttemptTimeout() {
    return defaults.attemptTimeout;
  },

  setDefaultAutoSelectFamilyAttemptTimeout(value) {
    check.anInteger(value, 'value', 1, 2 ** 31 - 1);
    defaults.attemptTimeout = Math.max(10, value);
  },
};

module.exports = defaults;
