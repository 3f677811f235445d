#!/usr/bin/env bash
# test_gdb.sh BUILD: a replay can be stepped in a debugger: it is one thread, without a socket.
set -euo pipefail
build=$(realpath "$1")
command -v gdb >/dev/null || {
  echo "skipped: there is no gdb"
  exit 77
}
[ -z "${TROUPE_SANITIZE:-}${TROUPE_TEST_LAUNCHER:-}" ] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >service.c <<'END_OF_C'
#include <troupe/troupe.h>
int count;
static void on_timer(troupe_timer_t timer, void *context) {
  (void)context;
  if (++count == 3) troupe_timer_stop(timer);
}
int ticks(void *argument) {
  (void)argument;
  count = 0;
  troupe_timer_start(NULL, 1, 1, on_timer, NULL);
  return troupe_actor_run();
}
int main(int argc, char **argv) {
  troupe_system_t *troupe;
  (void)argv;
  if (argc > 1) return -troupe_replay(ticks, NULL, "traces/ticks-0.trace", NULL);
  if (troupe_system_new(NULL, &troupe) < 0) return 1;
  if (troupe_record_start(troupe, &(troupe_record_options_t){.directory = "traces"}) < 0) return 1;
  if (troupe_spawn(troupe, &(troupe_spawn_options_t){.name = "ticks", .main = ticks}, NULL) < 0) return 1;
  if (troupe_system_wait(troupe, -1, NULL, 0, NULL) < 0) return 1;
  return troupe_system_free(&troupe) < 0;
}
END_OF_C
cc -g -O0 -std=gnu11 -I"$TROUPE_SOURCE_DIR/include" service.c -o service -L"$build" -ltroupe -Wl,-rpath,"$build"
./service
cat >commands <<'END_OF_GDB'
set debuginfod enabled off
set confirm off
set pagination off
break on_timer
run replay
info threads
next
next
print count
continue
continue
next
print count
printf "descriptors %d\n", 0
info inferiors
python
import os, gdb
pid = gdb.selected_inferior().pid
links = [os.readlink('/proc/%d/fd/%s' % (pid, fd)) for fd in os.listdir('/proc/%d/fd' % pid)]
print('sockets %d' % sum(link.startswith('socket:') for link in links))
end
delete
continue
END_OF_GDB
timeout 50 gdb -batch -nx -x commands ./service >out 2>&1 || {
  cat out
  # Where nobody may trace a process there is nothing to be tested.
  ! grep -q 'ptrace: Operation not permitted\|Could not trace' out || exit 77
  exit 1
}
status=0
grep -q '^\$1 = 1$' out || status=1
grep -q '^\$2 = 3$' out || status=1
[ "$(grep -cE '^\*? +[0-9]+ +Thread|^\* 1 +process|^\* +1 ' out)" -ge 1 ] || status=1
! grep -qE '^ +2 +Thread' out || status=1
! grep -q 'sockets' out || grep -q '^sockets 0$' out || status=1
grep -q 'exited normally' out || status=1
[ $status -eq 0 ] || cat out
exit $status
