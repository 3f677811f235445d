#!/usr/bin/env bash
# test_command.sh BUILD: `troupe trace` on what a running echo recorded: each command, its filters, and how it ends.
set -euo pipefail
build=$(realpath "$1")
troupe=$build/bin/troupe
if [ ! -x "$troupe" ]; then
  echo "skipped: the command is not built"
  exit 77
fi

work=$(mktemp -d)
pid=
clean_up() {
  [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT
cd "$work"

fail() {
  echo "FAILED: $*"
  for file in out err echo.out; do
    [ ! -s $file ] || { echo "--- $file" && head -c 3000 $file; }
  done
  exit 1
}

# ends STATUS ARGUMENT...: the command ends so; what it says is in out and err.
ends() {
  local status=$1 ended=0
  shift
  $launcher "$troupe" "$@" >out 2>err || ended=$?
  [ $ended -eq "$status" ] || fail "troupe $* ended with $ended, not $status"
}
says() { grep -qE -- "$1" out || fail "'$1' is not in the output"; }
complains() { grep -qE -- "$1" err || fail "'$1' is not in the complaint"; }

launcher=${TROUPE_TEST_LAUNCHER:-}

# start ARGUMENT...: starts an echo; `port` is its port.
start() {
  : >echo.out
  env --default-signal=INT "$build/examples/echo" --host 127.0.0.1 "$@" >echo.out 2>&1 &
  pid=$!
  local deadline=$((SECONDS + 30))
  until port=$(sed -n 's/^listening .*://p' echo.out) && [ -n "$port" ]; do
    [ $SECONDS -lt $deadline ] || fail "the echo does not listen"
    sleep 0.02
  done
}
stop() {
  local status=0
  kill -INT "$pid"
  wait "$pid" || status=$?
  pid=
  [ $status -eq 0 ] || fail "the echo ended with $status"
}

# Eight clients, one after the other, of which each says two lines and hears them.
start --record traces --actors 2
for i in 1 2 3 4 5 6 7 8; do
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  for text in "hello $i" "good bye $i"; do
    printf '%s\n' "$text" >&3
    IFS= read -r -t 20 said <&3 || fail "no answer"
    [ "$said" = "$text" ] || fail "the answer is '$said'"
  done
  exec 3>&-
done
stop
[ -s traces/echo-0.trace ] || fail "nothing was recorded"

# dump, and what it leaves out.
ends 0 trace dump traces
says '<- data on 1/[0-9]+, 8 bytes "hello 1.n"'
says '-> write on 1/[0-9]+, 11 bytes "good bye 8.n"'
says 'main returned 0'
ends 0 trace dump --actor echo-1 --kind data traces
says 'echo-1'
! grep -q 'echo-0' out || fail "another actor was shown"
! grep -vq 'data on' out || fail "another kind was shown"
connection=$(sed -nE 's/.* on (1\/[0-9]+), .*/\1/p' out | head -n 1)
ends 0 trace dump --connection "$connection" traces
says "connection on .*socket=$connection"
[ "$(grep -c 'data on' out)" -eq 2 ] || fail "a connection has other than two pieces"
ends 0 trace dump --payload --kind data --limit 2 traces/echo-0.trace
says '^    00000000  68 65 6c 6c 6f 20 [0-9a-f ]+ hello'
ends 0 trace dump --from 1000000 traces
[ ! -s out ] || fail "something is later than the end"

# stat
ends 0 trace stat --connections traces/echo-0.trace
says 'actor "echo" \(copy 0\)'
says 'complete: it can be replayed'
says "[0-9]+ connections begun, [0-9]+ bytes in"
ends 0 trace stat traces
says '8 connections begun, 152 bytes in, 152 bytes out'

# json: every line is an object.
ends 0 trace json traces
! grep -vqE '^\{"time":[0-9]+,"actor":"echo",.*\}$' out || fail "a line is no object"
says '"type":"event","kind":"data","peer":"I/O actor 1","subject":"1/[0-9]+","connection":"1/[0-9]+".*"length":8,"text":"hello 1\\n"'
if command -v python3 >/dev/null; then
  python3 -c 'import json, sys
for line in sys.stdin: json.loads(line)' <out || fail "Python cannot read it"
fi

# diff
ends 0 trace diff traces/echo-0.trace traces/echo-0.trace
ends 1 trace diff traces/echo-0.trace traces/echo-1.trace
says 'event 1 differs'
ends 0 trace diff --stream traces/echo-0.trace traces/echo-0.trace
ends 1 trace diff --stream traces/echo-0.trace traces/echo-1.trace
says 'the bytes from the peer differ'

# client: the same server gives the same answers, at each speed; another one does not.
start --record again --flight flight
ends 0 trace client --speed 20 "127.0.0.1:$port" traces
says '8 connections, [0-9]+ bytes sent, [0-9]+ bytes of answers compared: all as recorded'
ends 0 trace client --full-speed --at-once 3 "localhost:$port" traces
ends 0 trace client --full-speed --in-order "127.0.0.1:$port" traces
stop
start --upper
ends 1 trace client --full-speed "127.0.0.1:$port" traces
says 'connection 1/[0-9]+: byte 0 of the answer is not as recorded: expected "hello 1.x0a", got "HELLO 1.x0a"'
says '8 connections differ'
stop
ends 1 trace client --timeout 5 "127.0.0.1:$port" traces
says 'cannot connect'

# What a client does is the same to the server: its trace has the same streams.
ends 0 trace stat again
says '24 connections begun'

# Files that are none.
ends 3 trace dump nowhere
complains 'nowhere: no such file or directory'
echo "this is no trace, whatever it says" >text.trace
ends 3 trace dump text.trace
complains 'not a trace, or it is damaged'
ends 3 trace stat text.trace
ends 3 trace json text.trace
ends 3 trace diff text.trace traces/echo-0.trace
size=$(stat -c %s traces/echo-0.trace)
head -c $((size - 5)) traces/echo-0.trace >cut.trace
ends 0 trace dump cut.trace
complains 'cut off in the middle of a record at byte [0-9]+'
ends 0 trace diff cut.trace cut.trace
[ "$(grep -c 'cut off' err)" = 2 ] || fail "diff does not say once of each file that it is cut off"
cp traces/echo-0.trace bad.trace
printf 'X' | dd of=bad.trace bs=1 seek=$((size - 3)) conv=notrunc status=none
ends 3 trace dump bad.trace
complains "damaged at byte [0-9]+"
says 'hello'

# Command lines that are wrong.
ends 2
ends 2 trace
ends 2 trace undo
ends 2 trace dump
ends 2 trace dump --limit many traces
ends 2 trace dump --connection this traces
ends 2 trace dump --colour traces
complains 'there is no option --colour'
ends 2 trace dump --limit
complains '--limit needs a value'
ends 2 trace diff traces/echo-0.trace
ends 2 trace client traces
ends 2 trace replay traces/echo-0.trace
ends 0 --help
says 'troupe trace client'
for command in dump stat diff json replay client; do
  ends 0 trace $command --help
  says "usage: troupe trace $command"
  grep -q "^.B $command\$" "$TROUPE_SOURCE_DIR/tools/troupe.1" || fail "the manual has no $command"
  # Every option that the help names is in the manual.
  for option in $(grep -oE -- '--[a-z-]+' out | sort -u); do
    grep -qF -- "${option//-/\\-}" "$TROUPE_SOURCE_DIR/tools/troupe.1" ||
      [ "$option" = --help ] || fail "the manual does not name $option of $command"
  done
done
ends 0 --version
# A full disk is told.
if [ -w /dev/full ]; then
  ended=0
  "$troupe" trace dump traces >/dev/full 2>err || ended=$?
  [ $ended -eq 5 ] || fail "a full disk ended it with $ended"
fi

# Who reads no further, as head, is nothing to complain of.
mkfifo unread
exec 4<>unread 5>unread 4<&-
ended=0
"$troupe" trace dump traces >&5 2>err || ended=$?
exec 5>&-
[ $ended -eq 5 ] || fail "an output that nobody reads ended it with $ended"
[ ! -s err ] || fail "it complains of a reader that has had enough"

# Filters that nothing can pass are told, whichever command has them.
for command in dump stat json; do
  ends 2 trace $command --kind foo traces
  complains "--kind needs a kind .* not 'foo'"
  ends 2 trace $command --actor nobody traces
  complains "there is no actor 'nobody'"
  ends 2 trace $command --actor echo-7 traces
  ends 2 trace $command --connection 1/x traces
  ends 2 trace $command --from 2 --to 1 traces
  complains 'is behind --to'
  ends 2 trace $command --from soon traces
done
for command in dump json; do
  ends 2 trace $command --connection 1/4711 traces
  complains "there is no connection 1/4711"
  ends 0 trace $command --kind 'connection attempt' traces
  [ ! -s out ] || fail "an echo makes no connections"
done
ends 2 trace stat --connection 1/4711 traces
complains "there is no connection 1/4711"
[ ! -s out ] || fail "nothing is known of it"
ends 0 trace stat --connections --connection "$connection" traces/echo-0.trace traces/echo-1.trace
says 'echo-1.trace'
! grep -q 'echo-0.trace' out || fail "it is not in that one"
ends 2 trace diff --kind foo traces/echo-0.trace traces/echo-0.trace
ends 2 trace diff --actor nobody traces/echo-0.trace traces/echo-0.trace
ends 2 trace diff --connection 1/4711 traces/echo-0.trace traces/echo-0.trace
ends 2 trace diff --stream --connection 1/4711 traces/echo-0.trace traces/echo-0.trace
ends 2 trace client --kind foo 127.0.0.1:1 traces
ends 2 trace client --actor nobody 127.0.0.1:1 traces
ends 0 trace stat --actor echo-1 traces/echo-0.trace traces/echo-1.trace

# A trace that could not be written to its end says so, and so did the program at once. (Where the limit is that of the
# file's size, which is there on any machine, a full disk is the same.)
trap '' XFSZ
limit=$(ulimit -S -f)
ulimit -S -f 64
start --record short
deadline=$((SECONDS + 30))
until grep -q 'actor echo 0 is not recorded any more: ' echo.out; do
  [ $SECONDS -lt $deadline ] || fail "the echo does not say that recording stopped"
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  head -c 40000 /dev/zero >&3
  [ "$(head -c 40000 <&3 | wc -c)" -eq 40000 ] || fail "no answer"
  exec 3>&-
done
stop
ulimit -S -f "$limit"
trap - XFSZ
grep -q 'not all was recorded: ' echo.out || fail "the echo does not say it at its end"
ends 0 trace stat short
says 'complete as far as it goes'
says 'recording stopped there, since it could not be written: '
# One that was cut short says what can be known.
size=$(stat -c %s traces/echo-0.trace)
head -c $((size - 48)) traces/echo-0.trace >cut.trace
ends 0 trace stat cut.trace
says "the actor's end is not in it"
ends 0 trace stat traces/echo-0.trace
! grep -q "actor's end" out || fail "its end is in it"

# replay, with handlers in a shared object. (One without sanitizers cannot use a library with them.)
[ -z "${TROUPE_SANITIZE:-}" ] || exit 0
cat >handlers.c <<'END_OF_C'
#include <string.h>
#include <troupe/troupe.h>
#ifndef SAYS
#define SAYS(socket, chunk) troupe_socket_write_chunk(socket, chunk, NULL, NULL)
#endif
int given = 7;
static void on_data(troupe_socket_t socket, const troupe_chunk_t *chunk, void *context) {
  (void)context;
  SAYS(socket, chunk);
}
int shout(void *argument) {
  static const troupe_socket_handlers_t handlers = {.on_data = on_data};
  troupe_server_options_t options = {.socket_handlers = &handlers, .no_delay = TROUPE_ON};
  troupe_server_t server;
  int error = argument != &given && argument != NULL ? -1 : troupe_server_new(&options, NULL, NULL, &server);
  if (error == 0) error = troupe_server_listen_port(server, 0, "127.0.0.1", 0);
  return error < 0 ? error : troupe_actor_run();
}
#ifdef SERVES
int main(void) {
  static const troupe_spawn_options_t one = {.name = "shout", .main = shout, .argument = &given};
  troupe_system_t *troupe;
  if (troupe_system_new(NULL, &troupe) < 0) return 1;
  if (troupe_record_start(troupe, &(troupe_record_options_t){.directory = "handled"}) < 0) return 1;
  if (troupe_spawn(troupe, &one, NULL) < 0) return 1;
  troupe_system_stop(troupe, 0);
  troupe_system_wait(troupe, -1, NULL, 0, NULL);
  return troupe_system_free(&troupe) < 0;
}
#endif
END_OF_C
compile() { cc -std=gnu11 -I"$TROUPE_SOURCE_DIR/include" "$@" -L"$build" -ltroupe -Wl,-rpath,"$build"; }
compile -DSERVES handlers.c -o serve
./serve || fail "the service did not run"
compile -shared -fPIC handlers.c -o libhandlers.so
ends 0 trace replay --library ./libhandlers.so --main shout handled/shout-0.trace
says 'shout-0.trace: the same, [0-9]+ events'
ends 0 trace replay --library ./libhandlers.so --main shout --argument given handled/shout-0.trace
# A line that was moved makes no difference to diff, either.
mkdir moved
(echo && cat handlers.c) >moved/handlers.c
compile -DSERVES moved/handlers.c -o moved/serve
(cd moved && ./serve) || fail "the moved service did not run"
ends 0 trace diff --kind listen handled/shout-0.trace moved/handled/shout-0.trace
sed -i 's/"127.0.0.1", 0/"127.0.0.2", 0/' handlers.c
compile -DSERVES handlers.c -o moved/serve
(cd moved && ./serve) || fail "the other service did not run"
ends 1 trace diff --kind listen handled/shout-0.trace moved/handled/shout-0.trace
says 'host="127.0.0.2"'
compile -shared -fPIC handlers.c -o libother.so
ends 1 trace replay --library ./libother.so --main shout handled/shout-0.trace
says 'does not do what it did'
ends 1 trace replay --library ./libother.so --main shout --twice --ignore host handled/shout-0.trace
ends 0 trace replay --library ./libother.so --main shout --ignore host --ignore bytes handled/shout-0.trace
ends 0 trace replay --library ./libother.so --main shout --stream handled/shout-0.trace
ends 2 trace replay --library ./libother.so --main shout --ignore hots handled/shout-0.trace
complains 'There is no field "hots"'
[ "$(wc -l <err)" -eq 2 ] || fail "a complaint has an empty line"
cp handled/shout-0.trace accepted.trace
ends 0 trace replay --library ./libother.so --main shout --accept accepted.trace
says 'accepted.trace: accepted'
ends 0 trace replay --library ./libother.so --main shout accepted.trace
ends 1 trace replay --library ./libhandlers.so --main shout accepted.trace
ends 5 trace replay --library ./libmissing.so --main shout handled/shout-0.trace
ends 5 trace replay --library ./libhandlers.so --main nobody handled/shout-0.trace
complains "has no 'nobody'"
ends 3 trace replay --library ./libhandlers.so --main shout text.trace
cp handled/shout-0.trace bad.trace
printf 'X' | dd of=bad.trace bs=1 seek=$(($(stat -c %s bad.trace) - 3)) conv=notrunc status=none
ends 3 trace replay --library ./libhandlers.so --main shout bad.trace
says 'The file is damaged at byte [0-9]+'
ends 3 trace replay --library ./libother.so --main shout --ignore host --ignore bytes --accept bad.trace
ends 3 trace replay --library ./libhandlers.so --main shout flight
says "it is a flight recorder's file"
