#!/usr/bin/env bash
# test_installed.sh BUILD: the library, installed into a folder, can be used from there by CMake and by pkg-config,
# shared and static, in C and in C++.
set -euo pipefail
build=$(realpath "$1")

if [ -n "${TROUPE_SANITIZE:-}" ]; then
  echo "skipped: a program without sanitizers cannot use a library with them"
  exit 77
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" >"$work/log" || {
  cat "$work/log"
  exit 1
}

mkdir "$work/program"
cat >"$work/program/program.c" <<'END'
#include <stdio.h>
#include <string.h>
#include <troupe/troupe.h>

int main(void) {
  troupe_address_t address;
  char text[128];
  if (troupe_address_parse(&address, "127.0.0.1", strlen("127.0.0.1"), 80) != 0) {
    return 1;
  }
  troupe_address_text(&address, text, sizeof text);
  printf("%s %s\n", TROUPE_VERSION, text);
  return strcmp(text, "127.0.0.1") != 0;
}
END
cp "$work/program/program.c" "$work/program/program.cpp"
cat >"$work/program/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(program LANGUAGES C CXX)
find_package(troupe 0.1 REQUIRED)
add_executable(with_shared program.c)
target_link_libraries(with_shared PRIVATE troupe::troupe)
add_executable(with_static program.c)
target_link_libraries(with_static PRIVATE troupe::static)
add_executable(in_cpp program.cpp)
target_link_libraries(in_cpp PRIVATE troupe::troupe)
END

# expect PROGRAM WHAT: the program runs and says what it should; `needs` tells whether it loads the shared library.
expect() {
  local said needs=static
  said=$("$1")
  [ "$said" = "$version 127.0.0.1" ] || {
    echo "$1 said: $said"
    exit 1
  }
  ! readelf -d "$1" | grep -q 'NEEDED.*libtroupe\.so\.0' || needs=shared
  [ $needs = "$2" ] || {
    echo "$1 is linked as $needs, not $2"
    exit 1
  }
}

PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name troupe.pc)")
export PKG_CONFIG_PATH
version=$(pkg-config --modversion troupe)

cmake -S "$work/program" -B "$work/cmake" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/log" 2>&1 &&
  cmake --build "$work/cmake" >>"$work/log" 2>&1 || {
  cat "$work/log"
  exit 1
}
expect "$work/cmake/with_shared" shared
expect "$work/cmake/with_static" static
expect "$work/cmake/in_cpp" shared

library=$(pkg-config --variable=libdir troupe)
# The words that pkg-config prints are arguments, each by itself.
# shellcheck disable=SC2046
cc -o "$work/by_pkg_config" "$work/program/program.c" $(pkg-config --cflags --libs troupe) -Wl,-rpath,"$library"
expect "$work/by_pkg_config" shared
# shellcheck disable=SC2046
cc -o "$work/by_pkg_config_static" "$work/program/program.c" $(pkg-config --cflags troupe) \
  -Wl,-Bstatic -L"$library" -ltroupe -Wl,-Bdynamic $(pkg-config --libs libzmq libuv libprotobuf-c) -pthread
expect "$work/by_pkg_config_static" static

# Installed headers are the public ones and no others.
diff <(cd "$TROUPE_SOURCE_DIR/include" && find troupe -name '*.h' | sort) \
  <(cd "$work/prefix/include" && find . -name '*.h' | sed 's,^\./,,' | sort)
