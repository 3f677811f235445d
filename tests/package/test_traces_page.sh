#!/usr/bin/env bash
# test_traces_page.sh BUILD: every command of docs/traces.md does what the page says.
set -euo pipefail
# shellcheck source=tests/package/page.sh
source "$(dirname "${BASH_SOURCE[0]}")/page.sh" "$1" traces.md
awk '/^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside { print }' "$page" >commands.sh
[ "$(wc -l <commands.sh)" -ge 15 ] || { echo "the page has no commands"; exit 1; }
# What the page shows goes into the copy that its first command makes.
{
  echo 'for file in test_chat.c sim_chat.c; do block $file >$file; [ -s $file ]; done'
} >files.sh
sed -i '/^cd examples$/r files.sh' commands.sh
declare -f block >functions.sh
# The page's port may be taken here: another one takes its place.
port=$((20000 + RANDOM % 12000))
sed -i "s/\b7008\b/$port/g" commands.sh
# A line that begins with ! must fail; with -e alone it would not end the script.
sed -i -E 's/^! (.*)$/if \1; then echo "this should fail"; exit 1; fi/' commands.sh
cat functions.sh commands.sh >all.sh
people= page=$page bash -eu all.sh >out 2>&1 || { echo "a command of the page failed:"; cat out; exit 1; }
for text in '31 connections begun' 'line 1 of person' 'does not do what it did' 'the same, [0-9]+ events' 'seed [0-9]+ fails after' 'small segments'; do
  grep -qE "$text" out || { echo "'$text' is not in the output:"; cat out; exit 1; }
done
