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

# Sanitizers and valgrind are slow, and so is what waits for them.
export TROUPE_PLAY_LIMIT_MS=$((5000 * ${TROUPE_TEST_SLOW:-1}))
launcher=()
if [ -n "${TROUPE_TEST_LAUNCHER:-}" ]; then
  read -r -a launcher <<<"$TROUPE_TEST_LAUNCHER"
fi
if [ -n "${TROUPE_SANITIZE:-}" ] || [ ${#launcher[@]} -gt 0 ]; then
  TROUPE_PLAY_LIMIT_MS=$((TROUPE_PLAY_LIMIT_MS * 6))
fi

# The folder's name has the same length each time: scenarios are about lengths of paths, too.
work=$(mktemp -d /tmp/troupe-node.XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir "$work/n" "$work/t"
read -r -a scenarios <<<"${TROUPE_PLAY_SCENARIOS:-$(echo "$here"/scenarios/*.txt)}"
peer=$build/tests/node/peer

# Plays all scenarios on both sides and compares them.
compare() {
  rm -rf "$work/n" "$work/t"
  mkdir "$work/n" "$work/t"
  "$peer" launch node "$here/play.js" "$work/n" "$peer" "${scenarios[@]}" >"$work/node.out" || {
    tail -n 20 "$work/node.out"
    echo "play.js failed"
    return 1
  }
  "$peer" launch ${launcher[@]+"${launcher[@]}"} "$build/tests/node/play" "$work/t" "$peer" "${scenarios[@]}" \
    >"$work/troupe.out" || {
    tail -n 20 "$work/troupe.out"
    echo "play failed"
    return 1
  }
  node "$here/compare.js" "$work/node.out" "$work/troupe.out" "${scenarios[@]}"
}

# Some scenarios have clocks in them, and on a machine that is busy with something else Node itself does not always tell the
# same story. A difference that is really there is there each time.
for attempt in 1 2 3; do
  if compare >"$work/report" 2>&1; then
    tail -n 1 "$work/report"
    exit 0
  fi
  echo "attempt $attempt:"
  cat "$work/report"
done
exit 1
