#!/usr/bin/env bash
# test_traces_page.sh BUILD: every command of docs/traces.md does what the page says, against the installed library, in a
# folder outside the repository.
set -euo pipefail
build=$(realpath "$1")
page=$TROUPE_SOURCE_DIR/docs/traces.md
if [ -n "${TROUPE_SANITIZE:-}" ]; then
  echo "skipped: a program without sanitizers cannot use a library with them"
  exit 77
fi
work=$(mktemp -d)
trap 'jobs -p | xargs -r kill -KILL 2>/dev/null || true; rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" >"$work/log"
PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name troupe.pc)"):${PKG_CONFIG_PATH:-}
LD_LIBRARY_PATH=$(pkg-config --with-path="${PKG_CONFIG_PATH%%:*}" --variable=libdir troupe):${LD_LIBRARY_PATH:-}
PATH=$work/prefix/bin:$PATH
export PKG_CONFIG_PATH LD_LIBRARY_PATH PATH
mkdir "$work/room"
cd "$work/room"
[ -x "$(command -v troupe)" ] || { echo "skipped: the command is not built"; exit 77; }

block() {
  awk -v first="// $1" '
    /^```/ { inside = !inside; fresh = inside; wanted = 0; next }
    inside && fresh { fresh = 0; wanted = ($0 == first) }
    inside && wanted { print }' "$page"
}
block room.c >room.c
block test_room.c >test_room.c
block sim_room.c >sim_room.c
block evening.c >evening.c
block on_data.c >on_data.c
awk '/^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside { print }' "$page" >commands.sh
[ -s room.c ] && [ -s test_room.c ] && [ -s sim_room.c ] && [ -s evening.c ] && [ -s on_data.c ] && [ "$(wc -l <commands.sh)" -ge 15 ] || { echo "the page has no commands"; exit 1; }
# The page's port may be taken here: another one takes its place.
port=$((20000 + RANDOM % 12000))
sed -i "s/\b7008\b/$port/g" room.c sim_room.c commands.sh
# A line that begins with ! must fail; with -e alone it would not end the script.
sed -i -E 's/^! (.*)$/if \1; then echo "this should fail"; exit 1; fi/' commands.sh
people= bash -eu commands.sh >out 2>&1 || { echo "a command of the page failed:"; cat out; exit 1; }
for text in '5 connections begun' 'hello, I am Grace' 'does not do what it did' 'the same, [0-9]+ events' 'seed [0-9]+ fails after' 'small segments' 'hears what it must not'; do
  grep -qE "$text" out || { echo "'$text' is not in the output:"; cat out; exit 1; }
done
