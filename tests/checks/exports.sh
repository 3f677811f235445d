#!/usr/bin/env bash
# exports.sh BUILD: the shared library exports every function that a public header declares, and nothing else.
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# gcc -aux-info lists each declaration with the place it stands at; static ones are inline and export nothing.
for header in include/troupe/*.h; do
  echo "#include <${header#include/}>"
done >"$work/all.c"
gcc -std=c11 -Iinclude -aux-info "$work/declared.txt" -c -o /dev/null "$work/all.c"
sed -nE '/^\/\* include\/troupe\//{/\*\/ static /!s/^.*[ *](troupe_[a-z0-9_]+) \(.*$/\1/p}' "$work/declared.txt" |
  sort -u >"$work/declared"
nm -D --defined-only "$build/libtroupe.so" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u >"$work/exported"
nm -g --defined-only "$build/libtroupe.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u >"$work/global"

status=0
# tell WHAT FILE: fails if the file has lines.
tell() {
  if [ -s "$2" ]; then
    echo "$1:"
    sed 's/^/  /' "$2"
    status=1
  fi
}
[ -s "$work/declared" ] || { echo "no declarations were found"; exit 1; }
comm -23 "$work/declared" "$work/exported" >"$work/missing"
comm -13 "$work/declared" "$work/exported" >"$work/extra"
grep -vE '^(troupe|trp)_' "$work/global" >"$work/foreign" || true
tell "declared in include/troupe, not exported by libtroupe.so" "$work/missing"
tell "exported by libtroupe.so, not declared as a function in include/troupe" "$work/extra"
tell "global in libtroupe.a under a name that is neither troupe_ nor trp_" "$work/foreign"
[ $status -ne 0 ] || echo "    $(wc -l <"$work/declared") functions"
exit $status
