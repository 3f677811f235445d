# Sourced by what plays the scenarios, with `build` and `here` set: the time that a scenario has, how programs are launched,
# which scenarios, and a folder to work in.
# shellcheck shell=bash disable=SC2034,SC2154
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
mkdir "$work/t"
read -r -a scenarios <<<"${TROUPE_PLAY_SCENARIOS:-$(echo "$here"/scenarios/*.txt)}"
peer=$build/tests/node/peer
