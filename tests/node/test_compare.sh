#!/usr/bin/env bash
# test_compare.sh BUILD: what troupe reports is what Node's own net module reports, event by event, but for what the
# scenarios say and explain. README.md tells how. Skipped without Node 20.12; but where Node is that new and it must be
# there (CI=true, or TROUPE_REQUIRE_NODE=1), nothing is skipped.
set -euo pipefail
build=$(realpath "$1")
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")

skip() {
  echo "skipped: $1"
  if [ "${TROUPE_REQUIRE_NODE:-}" = 1 ]; then
    exit 1
  fi
  exit 77
}

command -v node >/dev/null || skip "there is no node"
version=$(node --version) || skip "node does not run"
IFS=. read -r major minor _ <<<"${version#v}"
if [ "$major" -lt 20 ] || { [ "$major" -eq 20 ] && [ "$minor" -lt 12 ]; }; then
  skip "node $version is older than 20.12"
fi
for program in play peer; do
  if [ ! -x "$build/tests/node/$program" ]; then
    echo "$program was not built"
    exit 1
  fi
done

# shellcheck source=tests/node/scenarios.sh
. "$here/scenarios.sh"

play_node() {
  rm -rf "$work/n"
  mkdir "$work/n"
  "$peer" launch node "$here/play.js" "$work/n" "$peer" "${scenarios[@]}" >"$work/node.out" || {
    tail -n 20 "$work/node.out"
    echo "play.js failed"
    return 1
  }
}

play_troupe() {
  rm -rf "$work/t"
  mkdir "$work/t"
  "$peer" launch ${launcher[@]+"${launcher[@]}"} "$build/tests/node/play" "$work/t" "$peer" "${scenarios[@]}" \
    >"$work/troupe.out" || {
    tail -n 20 "$work/troupe.out"
    echo "play failed"
    return 1
  }
}

compare() {
  TROUPE_COMPARE_FAILED=$work/failed node "$here/compare.js" "$work/node.out" "$work/troupe.out" "${scenarios[@]}"
}

play_and_compare() {
  play_node && play_troupe && compare
}

# Some scenarios have clocks in them, and on a machine that is busy with something else Node itself does not always tell the
# same story.
attempts 4 play_and_compare

# Over several I/O actors the two ends of a connection are served by two threads, as they are by two processes, so a scenario
# in which one end does something while the other does may go one way or the other. Each must go Node's way once.
export TROUPE_PLAY_IO_ACTORS=3
echo "with $TROUPE_PLAY_IO_ACTORS I/O actors:"
attempts 40 play_and_compare
