#!/usr/bin/env bash
# Every public header compiles alone: as C11 without extensions and as C++17, with the warnings that users turn on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

status=0
shopt -s nullglob
headers=(include/troupe/*.h)
if [ ${#headers[@]} -eq 0 ]; then
  echo "there are no public headers"
  exit 1
fi
for header in "${headers[@]}"; do
  line="#include <${header#include/}>"
  echo "$line" | gcc -x c -std=c11 -pedantic -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wundef -Werror \
    -Iinclude -fsyntax-only - || status=1
  echo "$line" | g++ -x c++ -std=c++17 -pedantic -Wall -Wextra -Wconversion -Wundef -Werror \
    -Iinclude -fsyntax-only - || status=1
done
exit $status
