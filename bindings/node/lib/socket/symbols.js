// What a Socket keeps for itself, under names that no class made of it can take.
'use strict';

module.exports = {
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
  kWritten: Symbol('callback of write'),
};
