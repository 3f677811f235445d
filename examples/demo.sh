#!/usr/bin/env bash
# Shows what troupe does: a service on two actors, real clients, a recording, and the recording replayed without a socket.
# Usage: examples/demo.sh BUILD_FOLDER
set -euo pipefail
build=${1:?the build folder}
folder=$(mktemp -d)
echo_pid=

clean_up() {
  [ -z "$echo_pid" ] || kill "$echo_pid" 2>/dev/null || true
  rm -rf "$folder"
}
trap clean_up EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '  $ %s\n' "$*"; }

# Waits until a file has a line that begins with a word.
wait_for_line() {
  local tries=0
  until grep -q "^$2" "$1" 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -le 100 ] || { echo "nothing came within ten seconds; see $1" >&2; exit 1; }
    sleep 0.1
  done
}

say "1. An echo service: one handler, two actors, each on its own thread, one port that the system picks"
show "echo --host 127.0.0.1 --actors 2 --record $folder/traces"
"$build/examples/echo" --host 127.0.0.1 --actors 2 --record "$folder/traces" >"$folder/out" &
echo_pid=$!
wait_for_line "$folder/out" listening
sed 's/^/  /' "$folder/out"
address=$(sed -n 's/^listening //p' "$folder/out")
port=${address##*:}
printf '  its threads: %s\n' "$(cat /proc/$echo_pid/task/*/comm | sort | uniq -c | awk '{print $2 (($1 > 1) ? " x" $1 : "")}' | paste -sd' ')"

say "2. Clients: the I/O actor accepts, the connections are dealt out to the two actors in turn"
show "printf 'hello from a troupe client\\n' | client $address"
printf 'hello from a troupe client\n' | timeout 10 "$build/examples/client" "$address" | sed 's/^/  /'
if command -v nc >/dev/null; then
  show "printf 'hello from netcat\\n' | nc -N 127.0.0.1 $port"
  printf 'hello from netcat\n' | timeout 10 nc -N 127.0.0.1 "$port" | sed 's/^/  /'
else
  echo "  (nc is not installed)"
fi
if command -v node >/dev/null; then
  show "node -e '…net.connect($port)…'"
  timeout 10 node -e '
    const socket = require("net").connect(process.argv[1], "127.0.0.1", () => socket.end("hello from Node\n"));
    socket.pipe(process.stdout);' "$port" | sed 's/^/  /'
else
  echo "  (node is not installed)"
fi
show "head -c 5000000 /dev/urandom | client $address | sha256sum      # the same sum comes back"
head -c 5000000 /dev/urandom >"$folder/random"
sent=$(sha256sum <"$folder/random" | cut -d' ' -f1)
got=$(timeout 30 "$build/examples/client" "$address" <"$folder/random" | sha256sum | cut -d' ' -f1)
echo "  sent $sent"
echo "  got  $got"
[ "$sent" = "$got" ] || { echo "  they differ!" >&2; exit 1; }

say "3. SIGTERM: the service ends cleanly"
kill -TERM "$echo_pid"
status=0
wait "$echo_pid" || status=$?
echo_pid=
echo "  exit status $status"
[ $status -eq 0 ] || exit 1

say "4. All that drove the two actors was recorded; the same handler runs on it again, without a socket"
show "ls -s --block-size=1K $folder/traces"
ls -s --block-size=1K "$folder/traces" | sed 's/^/  /'
show "echo --replay traces/*.trace"
"$build/examples/echo" --replay "$folder"/traces/*.trace | sed "s|$folder/||; s/^/  /"

say "5. So a recording is a regression test: a handler that was changed meanwhile is told what differs first"
show "echo --upper --replay traces/*.trace      # this handler answers in capital letters"
"$build/examples/echo" --upper --replay "$folder"/traces/*.trace | sed "s|$folder/||; s/^/  /" || true

say "That was troupe: I/O on one thread, handlers on many, everything between them recorded."
