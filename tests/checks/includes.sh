#!/usr/bin/env bash
# Includes point one way: bindings, tools and examples -> include <- core <- actors; uv.h and zmq.h have one home each.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

status=0

# forbid WHAT PATTERN FOLDER...: no C source in the folders has a line that matches the extended pattern.
forbid() {
  local what=$1 pattern=$2 folder found folders=()
  shift 2
  for folder in "$@"; do
    [ ! -e "$folder" ] || folders+=("$folder")
  done
  [ ${#folders[@]} -gt 0 ] || return 0
  if found=$(grep -rnE --include='*.c' --include='*.h' --include='*.cc' --include='*.cpp' --exclude-dir=node_modules \
    "$pattern" "${folders[@]}"); then
    printf '%s:\n%s\n' "$what" "$found"
    status=1
  fi
}

include='^[[:space:]]*#[[:space:]]*include[[:space:]]*'

# others FOLDER HOME: the folders in FOLDER, and the files right in it, but not HOME.
others() {
  find "$1" -mindepth 1 -maxdepth 1 ! -path "$2" 2>/dev/null || true
}

mapfile -t not_io < <(others actors actors/io)
mapfile -t not_message < <(others core core/message)
mapfile -t not_node < <(others bindings bindings/node)
forbid "uv.h belongs in actors/io alone (and in the Node binding, which has Node's)" "${include}[<\"]uv[./]" \
  core ${not_io[@]+"${not_io[@]}"} include ${not_node[@]+"${not_node[@]}"} tools examples
forbid "zmq.h belongs in core/message alone" "${include}[<\"](zmq|czmq)" \
  actors ${not_message[@]+"${not_message[@]}"} include bindings tools examples
forbid "core knows nothing of actors" "${include}[<\"]actors/" core
forbid "the logic of sockets knows no transport" "${include}[<\"]actors/(io|sim)/" actors/net
forbid "these use the public headers alone" "${include}[<\"](core/|actors/|tests/|troupe\.pb-c\.h|protobuf-c)" \
  bindings tools examples bench
forbid "the library does not include tests" "${include}[<\"](tests|bench|examples|tools)/" core actors include
forbid "only core/message asks a clock" '\b(clock_gettime|gettimeofday|timespec_get|time\(NULL\))' \
  ${not_message[@]+"${not_message[@]}"}

# Public headers: C11, std, ours; cmocka where the name says so.
std='assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale|math|setjmp|signal|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|tgmath|threads|time|uchar|wchar|wctype'
if found=$(grep -rnE "$include" include/troupe | grep -vE "include[[:space:]]*<(($std)\.h|troupe/[a-z_]+\.h)>" |
  grep -vE '^include/troupe/cmocka\.h:[0-9]+:#include <cmocka\.h>'); then
  printf 'public headers include only C11 and <troupe/...>:\n%s\n' "$found"
  status=1
fi

# Quoted includes are rooted at the repository, so that a file says where it stands.
while IFS=: read -r file line text; do
  path=${text#*\"}
  path=${path%%\"*}
  case $path in
  troupe.pb-c.h) ;;
  *)
    if [ ! -f "$path" ]; then
      echo "$file:$line: \"$path\" is not a path from the root of the repository"
      status=1
    fi
    ;;
  esac
done < <(grep -rnE --include='*.c' --include='*.h' "${include}\"" core actors tests 2>/dev/null || true)

# Every header has its guard, with the name that its kind has.
while IFS= read -r file; do
  case $file in
  include/*) prefix=TROUPE_ ;;
  core/* | actors/* | tests/*) prefix=TRP_ ;;
  *) prefix='[A-Z]' ;;
  esac
  if ! grep -qE "^#ifndef (${prefix})[A-Z0-9_]*_H_INCLUDED\$" "$file"; then
    echo "$file: no guard $prefix..._H_INCLUDED"
    status=1
  fi
done < <(find include core actors tests bench examples tools -name '*.h' 2>/dev/null)

exit $status
