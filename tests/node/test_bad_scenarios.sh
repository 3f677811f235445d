#!/usr/bin/env bash
# test_bad_scenarios.sh BUILD: a scenario that says nothing sensible is refused with the line that does, and what lacks of
# it, before anything is played. Needs no node.
set -euo pipefail
build=$(realpath "$1")
work=$(mktemp -d /tmp/troupe-node.XXXXXX)
trap 'rm -rf "$work"' EXIT
failed=0

# refuses EXPECTED LINE...: a file of these lines.
refuses() {
  local expected=$1 status=0
  shift
  printf '%s\n' "$@" >"$work/bad.txt"
  "$build/tests/node/play" "$work" "$build/tests/node/peer" "$work/bad.txt" >"$work/out" 2>&1 || status=$?
  if [ $status -ne 2 ] || ! grep -qF -- "play: bad: $expected" "$work/out"; then
    echo "expected status 2 and: play: bad: $expected"
    echo "got status $status and:"
    cat "$work/out"
    failed=1
  fi
}

refuses "'keepAlive c': a word is missing" 'scenario one' 'socket c' 'keepAlive c'
refuses "'write c': a word is missing" 'scenario one' 'socket c' 'write c'
refuses "'socket': a word is missing" 'scenario one' 'socket'
refuses "'connect c port': connect takes KEY=VALUE" 'scenario one' 'socket c' 'connect c port'
refuses "'open c': open takes a port or a path" 'scenario one' 'open c'
refuses "'socket c': it belongs to no scenario" 'socket c'
refuses "'c close:': it belongs to no scenario" 'on c close:'
refuses "'c': a word is missing" 'scenario one' 'on c:'
refuses "'socket c 0000" 'scenario one' "socket c $(printf '%0600d' 0)"
exit $failed
