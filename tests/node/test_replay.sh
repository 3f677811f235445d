#!/usr/bin/env bash
# test_replay.sh BUILD: every scenario of the comparison with Node, played with troupe and recorded, does and tells the
# same when it is replayed, without a socket. Needs no node.
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
TROUPE_PLAY_TRACES=$work/traces "$peer" launch ${launcher[@]+"${launcher[@]}"} "$build/tests/node/play" "$work/t" \
  "$peer" "${scenarios[@]}" >"$work/troupe.out"
