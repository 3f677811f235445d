// The defaults of family autoselection.
'use strict';

const check = require('./validate');

const { execArgv } = process;
const given = execArgv.map((argument) =>
  /^--network-family-autoselection-attempt-timeout=(\d+)$/.exec(argument)).find(Boolean);

const defaults = {
  autoSelectFamily: !execArgv.includes('--no-network-family-autoselection') &&
    !execArgv.includes('--no-enable-network-family-autoselection'),
  attemptTimeout: Math.max(10, given ? Number(given[1]) : 250),

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
