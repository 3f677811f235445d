#!/usr/bin/env bash
# test_readme.sh BUILD: what the README shows is true: its echo has at most 25 lines, its programs are built as it says
# against the installed library, the echo echoes, and its regression test passes, and fails once the handler has changed.
set -euo pipefail
build=$(realpath "$1")
readme=$TROUPE_SOURCE_DIR/README.md
LINES_MAX=25

if [ -n "${TROUPE_SANITIZE:-}" ]; then
  echo "skipped: a program without sanitizers cannot use a library with them"
  exit 77
fi

work=$(mktemp -d)
echo_pid=
clean_up() {
  [ -z "$echo_pid" ] || kill -KILL "$echo_pid" 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT

fail() {
  echo "$*"
  [ ! -s "$work/log" ] || cat "$work/log"
  exit 1
}

# The block of the README whose first line is `// NAME`, without its fences.
block() {
  awk -v first="// $1" '
    /^```/ { inside = !inside; fresh = inside; wanted = 0; next }
    inside && fresh { fresh = 0; wanted = ($0 == first) }
    inside && wanted { print }' "$readme"
}

block echo.c >"$work/echo.c"
block test_echo.c >"$work/test_echo.c"
awk '/^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside { print }' "$readme" >"$work/build.sh"
for file in echo.c test_echo.c build.sh; do
  [ -s "$work/$file" ] || fail "the README has no block for $file"
done

# The line that names the file is not the program's.
lines=$(grep -cv '^// echo\.c$' "$work/echo.c")
[ "$lines" -le $LINES_MAX ] || fail "the README's echo has $lines lines, more than $LINES_MAX"

cmake --install "$build" --prefix "$work/prefix" >"$work/log" || fail "it cannot be installed"
: >"$work/log"
PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name troupe.pc)"):${PKG_CONFIG_PATH:-}
LD_LIBRARY_PATH=$(pkg-config --with-path="${PKG_CONFIG_PATH%%:*}" --variable=libdir troupe):${LD_LIBRARY_PATH:-}
export PKG_CONFIG_PATH LD_LIBRARY_PATH
cd "$work"

# The README's own port may be taken here: a free one takes its place, in the echo alone.
readme_port=7007
grep -q "\b$readme_port\b" echo.c || fail "the README's port is not $readme_port any more"
cp echo.c echo.shown.c

# Starts ./echo on a free port, which is found by trying; sets echo_pid and port.
start_echo() {
  local tries
  for tries in 1 2 3 4 5 6 7 8 9 10; do
    port=$((20000 + (RANDOM % 12000)))
    sed "s/\b$readme_port\b/$port/" echo.shown.c >echo.c
    bash -e build.sh >log 2>&1 || fail "the README's commands do not build its programs"
    # A shell without job control starts what runs in the background with SIGINT ignored; env undoes that.
    env --default-signal=INT ./echo "$@" >>log 2>&1 &
    echo_pid=$!
    wait_for_port && return
    wait "$echo_pid" || true
  done
  fail "no free port was found in $tries tries"
}

# Waits until somebody listens on the port; fails when the echo ends instead.
wait_for_port() {
  local deadline=$((SECONDS + 20))
  while [ $SECONDS -lt $deadline ] && kill -0 "$echo_pid" 2>/dev/null; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      kill -0 "$echo_pid" 2>/dev/null
      return
    fi
    sleep 0.02
  done
  return 1
}

stop_echo() {
  local status=0
  kill -INT "$echo_pid"
  wait "$echo_pid" || status=$?
  echo_pid=
  [ $status -eq 0 ] || fail "Ctrl-C ends the echo with status $status"
}

# ./echo serves it: four connections for four actors, and then Ctrl-C ends it.
talk() {
  local i said
  for i in 1 2 3 4 5 6 7 8; do
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf 'hello %s\n' "$i" >&3
    IFS= read -r -t 20 said <&3 || fail "no answer came"
    exec 3>&-
    [ "$said" = "hello $i" ] || fail "the echo of 'hello $i' is '$said'"
  done
}

start_echo
talk
stop_echo

# ./echo traces records it too, and the test replays that.
start_echo traces
talk
stop_echo
[ -s traces/echo-0.trace ] || fail "nothing was recorded"
./test_echo >log 2>&1 || fail "the regression test fails although nothing has changed"

# A handler that answers with one byte changed: the test must see it.
cp echo.c echo.same.c
sed 's/troupe_socket_write_chunk(socket, chunk, NULL, NULL)/troupe_socket_write(socket, "hello X\\n", troupe_chunk_length(chunk), NULL, NULL)/' \
  echo.same.c >echo.c
! cmp -s echo.c echo.same.c || fail "the handler could not be changed"
bash -e build.sh >log 2>&1 || fail "the changed handler does not build"
if ./test_echo >log 2>&1; then
  fail "the regression test passes although the handler has changed"
fi
grep -qi 'differ' log || fail "the regression test fails, but does not say that the replay differs"
