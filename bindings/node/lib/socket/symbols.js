// What a Socket keeps for itself, under names that no class made of it can take.
'use strict';

const symbols = {
  kAccepted: Symbol('handle of an accepted connection'),
  kAwaited: Symbol('writes whose callbacks the stream has not called'),
  kArmed: Symbol('milliseconds of the idle timer, 0: off'),
  kBytesRead: Symbol('bytes read'),
  kDispatched: Symbol('bytes dispatched'),
  kFinal: Symbol('callback of end'),
  kHadError: Symbol('had an error'),
  kIdle: Symbol('idle timer without a connection'),
  kKeepAlive: Symbol('keep-alive'),
  kKeepAliveDelay: Symbol('keep-alive delay'),
  kNoDelay: Symbol('no delay'),
  kOnread: Symbol('onread'),
  kPending: Symbol('write before the connection'),
  kReadWanted: Symbol('read before the connection'),
  kReset: Symbol('reset'),
  kServer: Symbol('server that counts it'),
  kSentTo: Symbol('handle that the last write went to'),
  kSeveral: Symbol('addresses that are tried'),
  kTimer: Symbol('context of setTimeout'),
  kUnref: Symbol('unref'),
  kWrapped: Symbol('wrapped by TLS'),
  kWritten: Symbol('callback of write'),
};

// Most sockets never have most of it otherwise than it is at first, which the prototype tells: a property costs memory in each
// socket that has it.
const atFirst = {
  [symbols.kArmed]: 0,
  [symbols.kAwaited]: 0,
  [symbols.kFinal]: null,
  [symbols.kHadError]: false,
  [symbols.kIdle]: undefined,
  [symbols.kKeepAlive]: false,
  [symbols.kKeepAliveDelay]: 0,
  [symbols.kNoDelay]: false,
  [symbols.kOnread]: null,
  [symbols.kPending]: null,
  [symbols.kReadWanted]: false,
  [symbols.kReset]: false,
  [symbols.kSentTo]: null,
  [symbols.kServer]: null,
  [symbols.kSeveral]: false,
  [symbols.kTimer]: null,
  [symbols.kUnref]: false,
  [symbols.kWrapped]: false,
  [symbols.kWritten]: null,
};

function restore(socket, ...names) {
  for (const name of names) {
    if (socket[name] !== atFirst[name]) {
      socket[name] = atFirst[name];
    }
  }
}

module.exports = { ...symbols, atFirst, restore };
