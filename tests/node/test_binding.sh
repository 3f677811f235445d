#!/usr/bin/env bash
# test_binding.sh BUILD: what the Node binding reports is what Node's own net module reports, event by event, but for what the
# scenarios say and explain ("binding differs:"). Skipped where the binding is not built. Under a sanitizer, TROUPE_NODE_PRELOAD
# names what Node has to load before it.
set -euo pipefail
build=$(realpath "$1")
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")

addon=$build/bindings/node/troupe_net.node
if [ ! -f "$addon" ]; then
  echo "skipped: the Node binding was not built"
  [ "${TROUPE_REQUIRE_NODE:-}" = 1 ] && [ -z "${TROUPE_SANITIZE:-}${TROUPE_TEST_LAUNCHER:-}" ] && exit 1
  exit 77
fi

# shellcheck source=tests/node/scenarios.sh
. "$here/scenarios.sh"

# play WHERE [VARIABLE=VALUE...]: plays all scenarios in a folder of that name, with these in the environment of Node.
play() {
  rm -rf "${work:?}/$1"
  mkdir "$work/$1"
  "$peer" launch env "${@:2}" node "$here/play.js" "$work/$1" "$peer" "${scenarios[@]}" >"$work/$1.out" || {
    tail -n 20 "$work/$1.out"
    echo "play.js failed"
    return 1
  }
}

compare() {
  play n && play t "TROUPE_NET_ADDON=$addon" "TROUPE_PLAY_NET=$here/../../bindings/node" "LD_PRELOAD=${TROUPE_NODE_PRELOAD:-}" \
    "ASAN_OPTIONS=detect_leaks=0:${ASAN_OPTIONS:-}" &&
    TROUPE_COMPARE_FAILED=$work/failed node "$here/compare.js" --binding "$work/n.out" "$work/t.out" "${scenarios[@]}"
}

# As in test_compare.sh: on a busy machine Node itself does not always tell the same story.
attempts 4 compare
