#!/usr/bin/env bash
# test_replay.sh BUILD: every scenario of the comparison with Node, played with troupe and recorded, does and tells the
# same when it is replayed, without a socket. Needs no node.
set -euo pipefail
build=$(realpath "$1")
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")

# shellcheck source=tests/node/scenarios.sh
. "$here/scenarios.sh"
TROUPE_PLAY_TRACES=$work/traces "$peer" launch ${launcher[@]+"${launcher[@]}"} "$build/tests/node/play" "$work/t" \
  "$peer" "${scenarios[@]}" >"$work/troupe.out"
