#!/usr/bin/env bash
# Shows what troupe does: a service on two actors, real clients, a recording, the recording replayed without a socket, a proxy
# that a large file goes through, and a handler that computes on one actor and on two.
# Usage: examples/demo.sh BUILD_FOLDER
set -euo pipefail
build=${1:?the build folder}
folder=$(mktemp -d)
pids=()

clean_up() {
  local pid
  for pid in ${pids[@]+"${pids[@]}"}; do
    kill "$pid" 2>/dev/null || true
  done
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

# serve NAME PROGRAM ARGUMENTS...: starts a server; `pid` is its process, and `address` where it listens.
serve() {
  local name=$1
  shift
  rm -f "$folder/$name.out" # what an earlier one of that name said is not what this one says
  "$build/examples/$1" "${@:2}" >"$folder/$name.out" 2>"$folder/$name.err" &
  pid=$!
  pids+=("$pid")
  wait_for_line "$folder/$name.out" listening
  address=$(sed -n 's/^listening //p' "$folder/$name.out")
}

# Ends a server; its exit status must be 0.
end() {
  local status=0
  kill -TERM "$1"
  wait "$1" || status=$?
  echo "  exit status $status"
  [ $status -eq 0 ]
}

say "1. An echo service: one handler, two actors, each on its own thread, one port that the system picks"
show "echo --host 127.0.0.1 --actors 2 --record $folder/traces"
serve echo echo --host 127.0.0.1 --actors 2 --record "$folder/traces"
echo_pid=$pid
echo "  listening $address"
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
end "$echo_pid"

say "4. All that drove the two actors was recorded; the same handler runs on it again, without a socket"
show "du -k traces/*.trace"
(cd "$folder" && du -k traces/*.trace) | sed 's/^/  /'
show "echo --replay traces/*.trace"
"$build/examples/echo" --replay "$folder"/traces/*.trace | sed "s|$folder/||; s/^/  /"

say "5. So a recording is a regression test: a handler that was changed meanwhile is told what differs first"
show "echo --upper --replay traces/*.trace      # this handler answers in capital letters"
"$build/examples/echo" --upper --replay "$folder"/traces/*.trace | sed "s|$folder/||; s/^/  /" || true

say "6. A proxy: 64 MiB through a Unix socket to the proxy, over TCP to the echo, and all the way back"
megabytes=64
serve echo2 echo --host 127.0.0.1 --actors 2
echo_pid=$pid
show "proxy --listen $folder/proxy.sock --to $address --actors 2"
serve proxy proxy --listen "$folder/proxy.sock" --to "$address" --actors 2
proxy_pid=$pid
head -c $((megabytes * 1048576)) /dev/urandom >"$folder/random"
show "client $folder/proxy.sock <random | sha256sum"
sent=$(sha256sum <"$folder/random" | cut -d' ' -f1)
began=$(date +%s%N)
got=$(timeout 40 "$build/examples/client" "$folder/proxy.sock" <"$folder/random" | sha256sum | cut -d' ' -f1)
took=$((($(date +%s%N) - began) / 1000000))
echo "  sent $sent"
echo "  got  $got"
[ "$sent" = "$got" ] || { echo "  they differ!" >&2; exit 1; }
echo "  there and back in $took ms; at its largest the proxy had $(awk '/^VmHWM/ {print $2}' /proc/$proxy_pid/status) KiB in memory: what is not read is not taken"
end "$proxy_pid"
sed 's/^/  /' "$folder/proxy.err"
end "$echo_pid"

say "7. A handler that computes: the same handler on one actor, and on two"
clients=4 lines=500 iterations=1500
for i in $(seq $lines); do echo "request $i"; done >"$folder/requests"
# Sends the lines through several clients at once; prints how many requests were answered in a second.
rate() {
  local began client took
  local running=()
  began=$(date +%s%N)
  for client in $(seq $clients); do
    timeout 40 "$build/examples/client" "$1" <"$folder/requests" >"$folder/answers.$client" &
    running+=($!)
  done
  for client in "${running[@]}"; do
    wait "$client" || return 1
  done
  took=$((($(date +%s%N) - began) / 1000))
  for client in $(seq $clients); do
    cmp -s "$folder/answers.1" "$folder/answers.$client" || return 1
    [ "$(wc -l <"$folder/answers.$client")" -eq $lines ] || return 1
  done
  echo $((clients * lines * 1000000 / took))
}
show "work --actors 1 --iterations $iterations       # and the same with --actors 2; $clients clients ask each"
best=(0 0 0)
for _ in 1 2; do
  for actors in 1 2; do
    serve "work$actors" work --host 127.0.0.1 --actors $actors --iterations $iterations
    now=$(rate "$address") || { echo "not all requests were answered" >&2; exit 1; }
    end "$pid" >/dev/null
    [ "$now" -le "${best[actors]}" ] || best[actors]=$now
  done
done
for actors in 1 2; do
  printf '  %d actor%s %6d requests per second\n' $actors "$([ $actors -eq 1 ] && echo ': ' || echo 's:')" "${best[actors]}"
done
printf '  %d.%02d times as many, on %d processor(s)\n' $((best[2] / best[1])) $((best[2] * 100 / best[1] % 100)) "$(nproc)"

say "That was troupe: I/O on one thread, handlers on many, everything between them recorded."
