// load: the load generator of the benchmarks. One thread, epoll, any echo server. See load --help.

#include <stdio.h>

#include "bench/load/options.h"
#include "bench/load/process.h"
#include "bench/load/run.h"

int main(int count, char **arguments) {
  static load_run_t run; // static for its size: it holds a histogram
  load_options_t options;
  load_options_parse(&options, count, arguments);
  load_run_prepare(&run, &options);
  switch (options.mode) {
  case LOAD_MODE_CLOSED:
    load_closed(&run);
    break;
  case LOAD_MODE_OPEN:
    load_open(&run);
    break;
  case LOAD_MODE_CHURN:
    load_churn(&run);
    break;
  case LOAD_MODE_IDLE:
    load_idle(&run);
    break;
  }
  load_run_release(&run);
  if (fflush(stdout) != 0) {
    load_die("cannot write the result");
  }
  return 0;
}
