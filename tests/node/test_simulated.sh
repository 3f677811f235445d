#!/usr/bin/env bash
# test_simulated.sh BUILD: every scenario of the comparison with Node, played with troupe over real sockets, tells the same
# when it is played in simulated worlds, event by event; but for those that need a real network, which say why. Needs no
# node.
set -euo pipefail
build=$(realpath "$1")
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")

# shellcheck source=tests/node/scenarios.sh
. "$here/scenarios.sh"
simulate() {
  rm -rf "$work/t"
  mkdir "$work/t"
  TROUPE_PLAY_SIMULATED=${TROUPE_PLAY_SEEDS:-5} TROUPE_PLAY_FAILED=$work/failed "$peer" launch \
    ${launcher[@]+"${launcher[@]}"} "$build/tests/node/play" "$work/t" "$peer" "${scenarios[@]}" >"$work/troupe.out" || {
    tail -n 1 "$work/troupe.out"
    return 1
  }
  tail -n 1 "$work/troupe.out"
}

# The real one of both has clocks in it that a busy machine does not keep.
attempts 4 simulate
