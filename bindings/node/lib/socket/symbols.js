// What a Socket keeps for itself, under names that no class made of it can take.
'use strict';

module.exports = {
  kArmed: Symbol('milliseconds of the idle timer, 0: off'),
  kBytesRead: Symbol('bytes read'),
  kDispatched: Symbol('bytes dispatched'),
  kFinal: Symbol('callback of end'),
  kIdle: Symbol('idle timer without a connection'),
  kKeepAlive: Symbol('keep-alive'),
  kKeepAliveDelay: Symbol('keep-alive delay'),
  kNoDelay: Symbol('no delay'),
  kOnread: Symbol('onread'),
  kPending: Symbol('write before the connection'),
  kReadWanted: Symbol('read before the connection'),
  kReset: Symbol('reset'),
  kServer: Symbol('server that counts it'),
  kSeveral: Symbol('addresses that are tried'),
  kUnref: Symbol('unref'),
  kWritten: Symbol('callback of write'),
};
