#!/usr/bin/env bash
# test_simulated.sh BUILD: every scenario of the comparison with Node, played with troupe over real sockets, tells the same
# when it is played in simulated worlds, event by event; but for those that need a real network, which say why. Needs no
# node.
set -euo pipefail
build=$(realpath "$1")
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")

export TROUPE_PLAY_LIMIT_MS=$((5000 * ${TROUPE_TEST_SLOW:-1}))
launcher=()
if [ -n "${TROUPE_TEST_LAUNCHER:-}" ]; then
  read -r -a launcher <<<"$TROUPE_TEST_LAUNCHER"
fi
if [ -n "${TROUPE_SANITIZE:-}" ] || [ ${#launcher[@]} -gt 0 ]; then
  TROUPE_PLAY_LIMIT_MS=$((TROUPE_PLAY_LIMIT_MS * 6))
fi

work=$(mktemp -d /tmp/troupe-node.XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir "$work/t"
read -r -a scenarios <<<"${TROUPE_PLAY_SCENARIOS:-$(echo "$here"/scenarios/*.txt)}"
peer=$build/tests/node/peer
TROUPE_PLAY_SIMULATED=${TROUPE_PLAY_SEEDS:-5} "$peer" launch ${launcher[@]+"${launcher[@]}"} "$build/tests/node/play" \
  "$work/t" "$peer" "${scenarios[@]}" >"$work/troupe.out" || {
  tail -n 1 "$work/troupe.out"
  exit 1
}
tail -n 1 "$work/troupe.out"
