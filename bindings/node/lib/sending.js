// Sockets and servers that other processes get: child.send(message, socket), child.send(message, server), and the `stdio` of
// spawn(). Only Node's own code can put a descriptor into a message, so it gets a socket or a server of its own, over a copy of
// the descriptor.
'use strict';

const { ChildProcess } = require('node:child_process');
const fs = require('node:fs');
const net = require('./node_net');
const { receive } = require('./cluster');
const { Handle } = require('./handle');
const { Server } = require('./server');
const { Socket, kServer } = require('./socket');
const { letGo } = require('./socket/leaving');

function isOurs(value) {
  return value !== null && typeof value === 'object' && (Server.prototype.isPrototypeOf(value) || Socket.prototype.isPrototypeOf(value));
}

// A copy, or -1.
function descriptorOf(given) {
  const handle = given._handle;
  if (!(handle instanceof Handle) || handle.index < 0 || given.connecting) {
    return -1;
  }
  return handle.descriptor();
}

// What Node sends for it, and what to do when it was sent; null: Node shall say why not.
function standIn(given, options) {
  if (given._handle === null) {
    return { done() {} }; // the message goes without it
  }
  const { door } = given._handle;
  if (door?._handle?.fd >= 0) {
    return { other: door, done() {} }; // in a worker of a cluster that shares the address, and does not get its connections dealt
  }
  const isServer = Server.prototype.isPrototypeOf(given);
  const fd = descriptorOf(given);
  if (fd < 0) {
    return null;
  }
  return isServer ? serverFor(given._handle, fd) : socketFor(given, fd, options?.keepOpen === true);
}

function socketFor(socket, fd, keepOpen) {
  const other = new net.Socket({ fd, readable: false });
  other.server = socket[kServer]; // it is counted there by Node, which asks the other process whether it is still open
  if (!keepOpen) {
    letGo(socket); // as with Node's, it is the other process's now, and nothing more is heard of it here
  }
  return { other, done: () => other.destroy() };
}

// Until it was sent, it may get connections like any other that listens there.
function serverFor(handle, fd) {
  const other = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  other.on('connection', (socket) => receive(handle, socket));
  other.listen({ fd, exclusive: true }); // in a worker of a cluster, too
  return { other, done: () => other.close() };
}

function watch(sender) {
  const { send } = sender;
  sender.send = function(message, given, options, callback) {
    const instead = isOurs(given) ? standIn(given, options) : null;
    if (instead === null) {
      return Reflect.apply(send, this, arguments);
    }
    const settings = typeof options === 'function' ? undefined : options;
    const tell = typeof options === 'function' ? options : callback;
    try {
      return send.call(this, message, instead.other, settings, (error) => {
        instead.done();
        if (tell !== undefined) {
          tell(error);
        } else if (error) {
          this.emit('error', error);
        }
      });
    } catch (error) {
      instead.done();
      throw error;
    }
  };
}

// Descriptors in place of sockets and servers; `copies` are to be closed.
function inherited(stdio, copies) {
  return stdio.map((one) => {
    const fd = isOurs(one) ? descriptorOf(one) : one instanceof Handle ? one.descriptor() : -1;
    if (fd < 0) {
      return one;
    }
    copies.push(fd);
    return fd;
  });
}

// Every child gets its send(), if it has a channel, when it is spawned.
function watchAll() {
  const { spawn } = ChildProcess.prototype;
  ChildProcess.prototype.spawn = function(options) {
    const copies = [];
    const given = Array.isArray(options?.stdio) ? { ...options, stdio: inherited(options.stdio, copies) } : options;
    try {
      return spawn.call(this, given);
    } finally {
      copies.forEach((fd) => fs.closeSync(fd));
      if (typeof this.send === 'function') {
        watch(this);
      }
    }
  };
  if (typeof process.send === 'function') {
    watch(process);
  }
}

module.exports = { watchAll };
