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

# keep_only NAMES: from now on only those scenarios are played whose names ("FILE: NAME", a line each) stand in that file.
keep_only() {
  mkdir "$work/keep"
  awk -v kept="$work/keep/" '
    NR == FNR { names[$0]; next }
    FNR == 1 { file = FILENAME; sub(/.*\//, "", file) }
    /^ *scenario / {
      name = $0
      sub(/^ *scenario */, "", name)
      keep = (substr(file, 1, length(file) - 4) ": " name) in names
    }
    keep { print >(kept file) }' "$1" "${scenarios[@]}"
  rm -rf "$work/kept"
  mv "$work/keep" "$work/kept"
  scenarios=("$work/kept"/*.txt)
}

# attempts N COMMAND: lets COMMAND play and compare all scenarios, then again those that differ, N times at most; ends well
# when each was the same once. A difference that is really there is there each time. COMMAND names those that differ in
# $work/failed.
attempts() (
  most=$1
  shift
  for attempt in $(seq "$most"); do
    rm -f "$work/failed"
    if "$@" >"$work/report" 2>&1; then
      if [ "$attempt" -eq 1 ]; then
        tail -n 1 "$work/report"
      else
        echo "the same after $attempt attempts"
      fi
      exit 0
    fi
    if [ "$attempt" -le 2 ] || [ "$attempt" -eq "$most" ]; then
      echo "attempt $attempt:"
      cat "$work/report"
    fi
    [ -s "$work/failed" ] || exit 1
    keep_only "$work/failed"
  done
  exit 1
)
