#!/usr/bin/env bash
# test_room_page.sh BUILD: every command of docs/room.md does what the page says.
set -euo pipefail
# shellcheck source=tests/package/page.sh
source "$(dirname "${BASH_SOURCE[0]}")/page.sh" "$1" room.md
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
