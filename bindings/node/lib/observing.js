// Entries of type 'net' for a PerformanceObserver, as Node's sockets make them: one for each connection that was made. Only
// Node's own code can hand entries to its observers, so the class that programs get after this module was loaded hears of ours too.
'use strict';

const { syncBuiltinESMExports } = require('node:module');
const hooks = require('node:perf_hooks');

const { performance, PerformanceEntry } = hooks;
const Inherited = hooks.PerformanceObserver;
const observers = new Set();

class PerformanceNodeEntry {
  constructor(host, port, startTime) {
    const values = { name: 'connect', entryType: 'net', startTime, duration: performance.now() - startTime, detail: { host, port } };
    for (const [name, value] of Object.entries(values)) {
      Object.defineProperty(this, name, { value });
    }
  }

  toJSON() {
    const { name, entryType, startTime, duration, detail } = this;
    return { name, entryType, startTime, duration, detail };
  }
}
Object.setPrototypeOf(PerformanceNodeEntry.prototype, PerformanceEntry.prototype);

class PerformanceObserverEntryList {
  #entries;

  constructor(entries) {
    this.#entries = entries;
  }

  getEntries() {
    return this.#entries.slice();
  }

  getEntriesByName(name, type) {
    return this.#entries.filter((entry) => entry.name === `${name}` && (type === undefined || entry.entryType === `${type}`));
  }

  getEntriesByType(type) {
    return this.#entries.filter((entry) => entry.entryType === `${type}`);
  }
}

class PerformanceObserver extends Inherited {
  #callback;
  #entries = [];

  constructor(callback) {
    super(callback);
    this.#callback = callback;
  }

  observe(options) {
    super.observe(options);
    const { type, entryTypes } = options;
    if (type === 'net' || entryTypes?.includes('net')) {
      observers.add(this);
    } else if (entryTypes !== undefined) {
      observers.delete(this); // these are all that it observes from here on
    }
  }

  disconnect() {
    super.disconnect();
    observers.delete(this);
    this.#entries = [];
  }

  takeRecords() {
    return [...super.takeRecords(), ...this.#entries.splice(0)];
  }

  // Those of a turn of the loop come together.
  static add(entry) {
    for (const observer of observers) {
      observer.#entries.push(entry);
      if (observer.#entries.length === 1) {
        setImmediate(() => observer.#tell());
      }
    }
  }

  #tell() {
    if (this.#entries.length > 0) {
      const entries = this.#entries.splice(0);
      Reflect.apply(this.#callback, this, [new PerformanceObserverEntryList(entries), this]);
    }
  }
}

const { add } = PerformanceObserver;
delete PerformanceObserver.add;

// Whether anybody wants to know of connections that are made.
function isObserved() {
  return observers.size > 0;
}

function connected(host, port, startTime) {
  add(new PerformanceNodeEntry(host, port, startTime));
}

function observeAll() {
  hooks.PerformanceObserver = PerformanceObserver;
  globalThis.PerformanceObserver = PerformanceObserver;
  syncBuiltinESMExports();
}

module.exports = { connected, isObserved, observeAll };
