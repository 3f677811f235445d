# shellcheck shell=bash
# Sourced, with the build folder and the name of a page of docs/: installs the library into a folder outside the repository, and goes
# to another folder there, as the reader of the page would.
set -euo pipefail
build=$(realpath "$1")
page=$TROUPE_SOURCE_DIR/docs/$2
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
mkdir "$work/user"
cd "$work/user"
[ -x "$(command -v troupe)" ] || { echo "skipped: the command is not built"; exit 77; }

# The block of code of the page that begins with the name in a comment.
block() {
  awk -v first="// $1" '
    /^```/ { inside = !inside; fresh = inside; wanted = 0; next }
    inside && fresh { fresh = 0; wanted = ($0 == first) }
    inside && wanted { print }' "$page"
}
