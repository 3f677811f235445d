// What the addon tells, and when it tells what is late: as in src/binding.h.
'use strict';

const KIND = {
  DATA: 1, BUFFER: 2, SLAB: 3, END: 4, WRITTEN: 5, FINISHED: 6, CONNECT: 7, ATTEMPT: 8, FAILED: 9, TIMED_OUT: 10,
  TIMEOUT: 11, ERROR: 12, CLOSE: 13, CONNECTION: 14, SERVER_CLOSE: 15, HELD: 16,
};
const LATE = { END: 0, FINISH: 1, CLOSE: 2 };
// Node reads so much at a time.
const READ = 64 * 1024;

module.exports = { KIND, LATE, READ };
