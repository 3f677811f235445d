#!/usr/bin/env bash
# test_load.sh BUILD: the load generator measures an honest server, and does not measure a rude one.
set -uo pipefail
build=$(realpath "$1")
load=$build/bench/load
server=$build/bench/ref_uv
[ -x "$load" ] && [ -x "$server" ] || exit 77

work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; rm -rf "$work"' EXIT
status=0

fail() {
  echo "FAILED: $*"
  status=1
}

# wait_for COMMAND...: until it succeeds, for 10 seconds at most.
wait_for() {
  local i
  for ((i = 0; i < 500; i++)); do
    "$@" && return 0
    sleep 0.02
  done
  echo "waited in vain for: $*"
  return 1
}

# value KEY: of the last measurement.
value() {
  tr ' ' '\n' <"$work/line" | sed -n "s/^$1=//p"
}

# expect_measured OPTIONS...: the run succeeds, and has counted something.
expect_measured() {
  if ! "$load" "$@" >"$work/line" 2>"$work/error"; then
    fail "load $*: $(cat "$work/error")"
  elif ! awk -v rate="$(value rate)" -v p50="$(value p50_us)" -v p99="$(value p99_us)" -v max="$(value max_us)" \
    'BEGIN { exit !(rate > 0 && p50 > 0 && p50 <= p99 && p99 <= max) }'; then
    fail "load $*: $(cat "$work/line")"
  fi
}

# expect_refused STATUS WORDS OPTIONS...: the run fails and says these words.
expect_refused() {
  local wanted=$1 words=$2 got
  shift 2
  "$load" "$@" >"$work/line" 2>"$work/error"
  got=$?
  [ "$got" -eq "$wanted" ] || fail "load $*: status $got, not $wanted: $(cat "$work/error")"
  grep -q -- "$words" "$work/error" || fail "load $*: does not say \"$words\": $(cat "$work/error")"
  [ ! -s "$work/line" ] || fail "load $*: tells a result all the same"
}

start_honest_server() {
  : >"$work/server"
  "$server" "$@" >>"$work/server" &
  pids+=($!)
  wait_for grep -q '^listening' "$work/server" || exit 1
  address=$(awk '{ print $2 }' "$work/server")
}

# Echoes, except that two letters change places.
start_lying_server() {
  socat "UNIX-LISTEN:$work/lying,fork" EXEC:'stdbuf -o0 tr ab ba' 2>/dev/null &
  pids+=($!)
  wait_for test -S "$work/lying" || exit 1
}

measure_honest_server() {
  local pid=${pids[-1]} short=(--seconds 0.5 --warm-up 0.02)
  expect_measured "${short[@]}" "$address"
  expect_measured "${short[@]}" --connections 20 --in-flight 7 --size 333 --server-pid "$pid" "$address"
  [ -n "$(value server_cpu_s)" ] || fail "the server's processor time is not told"
  expect_measured "${short[@]}" --connections 3 --in-flight 2 --size 1M "$address"
  expect_measured "${short[@]}" churn --connections 5 --size 100K "$address"
  expect_measured "${short[@]}" open --connections 5 --rate 1000 "$address"
  [ "$(value unanswered)" = 0 ] || fail "$(value unanswered) messages of a slow stream are unanswered"
  expect_measured --warm-up 0 --messages 1000 --connections 4 "$address"
  [ "$(value messages)" -ge 1000 ] || fail "only $(value messages) of 1000 messages were measured"
}

# Somebody has connected to the server.
is_connected() {
  local port
  port=$(printf ':%04X' "${address##*:}")
  awk -v port="$port" '$3 ~ port "$" && $4 == "01" { found = 1 } END { exit !found }' < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
}

# A stopped server answers nothing for as long as it is stopped, and each message that was due then must say so.
measure_waiting() {
  local pid=${pids[-1]}
  "$load" open --connections 1 --rate 1000 --warm-up 0 --seconds 2 "$address" >"$work/line" 2>"$work/error" &
  local generator=$!
  wait_for is_connected
  sleep 0.2
  kill -STOP "$pid"
  sleep 0.8
  kill -CONT "$pid"
  wait "$generator" || fail "a server that pauses: $(cat "$work/error")"
  # 800 of 2000 messages were due meanwhile; in a closed loop only one would have noticed.
  awk -v p90="$(value p90_us)" -v max="$(value max_us)" 'BEGIN { exit !(p90 > 100000 && max > 300000) }' ||
    fail "a pause of 0.8 s is left out of the latencies: $(cat "$work/line")"
}

hold_idle_connections() {
  : >"$work/idle"
  "$load" idle --connections 100 "$address" >>"$work/idle" 2>"$work/error" &
  local generator=$!
  wait_for grep -q '^ready .*connections=100' "$work/idle" || fail "idle: $(cat "$work/error")"
  kill -TERM "$generator"
  wait "$generator" || fail "idle does not end well on SIGTERM"
}

start_honest_server --port 0
measure_honest_server
measure_waiting
hold_idle_connections
start_honest_server --path "$work/socket"
measure_honest_server
hold_idle_connections

kill -STOP "${pids[-1]}"
expect_refused 1 "nothing came back" --connections 2 --stall 0.2 "$address"
kill -CONT "${pids[-1]}"
kill -TERM "${pids[-1]}"
wait "${pids[-1]}" || fail "the reference ends with status $? on SIGTERM"

if command -v socat stdbuf >/dev/null; then
  start_lying_server
  expect_refused 1 "came back as 0x6[12], it was sent as 0x6[21]" --seconds 5 "$work/lying"
fi
expect_refused 1 "cannot connect" "$work/nobody"
expect_refused 2 "needs --rate" open "$address"
expect_refused 2 "is no mode" fast "$address"
expect_refused 2 "whole number" --connections -1 "$address"
expect_refused 2 "neither HOST:PORT nor a path" localhost
"$load" --help | grep -q '^usage: load' || fail "--help does not help"

exit $status
