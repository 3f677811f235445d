#!/usr/bin/env bash
# parity.sh [--check]: writes docs/parity.md, which tells of every row of docs/parity.tsv what it is in C and which tests
# show it. Fails when a row that is marked done has no symbol, names one that no public header has, or is named by no
# test; with --check also when the page is not the one that is there.
#
# docs/parity.tsv       the rows: id, Node's name, what must work
# docs/parity-more.tsv  rows of our own, in the same form
# docs/parity-map.tsv   kept by hand: id, state, symbols with a blank between (a field as troupe_x_t.field), and what
#                       differs from Node and why. States: done; not yet; as ROW, whose tests show this one too; and
#                       no, for what troupe does not have on purpose.
#
# A test names its rows in a comment above it that says "parity:" and their ids, a scenario in one below its name. (A test
# function that is named but does not run is an error of the compiler: it is static and unused.)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export LC_ALL=C

mode=write
case ${1:-} in
'') ;;
--check) mode=check ;;
*)
  echo "usage: parity.sh [--check]" >&2
  exit 2
  ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Every identifier of the public headers, and every field of their structures as type.field, with the header.
for header in include/troupe/*.h; do
  gcc -fpreprocessed -dD -E -P -w "$header" | awk -v header="${header#include/troupe/}" '
    /^typedef struct [a-z_]+ *\{/ { type = $3 }
    {
      for (line = $0; match(line, /[A-Za-z_][A-Za-z0-9_]*/); line = substr(line, RSTART + RLENGTH)) {
        word = substr(line, RSTART, RLENGTH)
        print word "\t" header
        if (type != "") print type "_t." word "\t" header
        # The list of errors: X(EPERM, ...) makes TROUPE_EPERM.
        if (before == "X") print "TROUPE_" word "\t" header
        before = word
      }
    }
    /^\}/ { type = "" }'
done | sort -u >"$work/symbols"

# Every row that a test names, with the file.
for test in tests/*/test_*.c tests/*/test_*.sh tests/node/scenarios/*.txt; do
  [ -f "$test" ] || continue
  awk -v test="$test" '
    /(\/\*|\/\/|#) *parity:/ {
      line = $0
      sub(/^.*parity:/, "", line)
      while (match(line, /[a-z]+\.[0-9]+/)) {
        print substr(line, RSTART, RLENGTH) "\t" test
        line = substr(line, RSTART + RLENGTH)
      }
    }' "$test"
done | sort -u >"$work/tests"

# Every difference from Node that a scenario shows, with the file.
for scenarios in tests/node/scenarios/*.txt; do
  [ -f "$scenarios" ] || continue
  sed -nE "s,^[[:space:]]*differs: (.*)\$,\1\t$scenarios,p" "$scenarios"
done | sort -u >"$work/differences"

cat >"$work/page.awk" <<'END'
function wrong(message) {
  print message >"/dev/stderr"
  failures++
}

# How the file of a test is called in the page: net/ip, node/scenarios/reset.
function name_of(file) {
  sub(/^tests\//, "", file)
  sub(/test_/, "", file)
  sub(/\.[a-z]+$/, "", file)
  return file
}

# The first header in which a symbol is found; that with the type's own name goes first.
FILENAME ~ /symbols$/ {
  if (!($1 in header)) header[$1] = $2
  next
}

FILENAME ~ /tests$/ {
  named[$1] = named[$1] (named[$1] == "" ? "" : ", ") "[" name_of($2) "](../" $2 ")"
  where[$1] = $2
  next
}

FILENAME ~ /differences$/ {
  if (!($1 in shown_in)) reason[++reasons] = $1
  shown_in[$1] = shown_in[$1] (shown_in[$1] == "" ? "" : ", ") "[" name_of($2) "](../" $2 ")"
  next
}

FILENAME ~ /map\.tsv$/ {
  if ($0 ~ /^(#|$)/ || $1 == "id") next
  if ($1 in state) wrong("docs/parity-map.tsv: row " $1 " stands there twice")
  if (NF < 3 || NF > 4) wrong("docs/parity-map.tsv: row " $1 " has " NF " fields, not 3 or 4")
  state[$1] = $2
  symbols[$1] = $3 == "-" ? "" : $3
  note[$1] = $4
  next
}

$1 == "id" { next }
{
  if ($1 in node) wrong(FILENAME ": row " $1 " stands there twice")
  node[$1] = $2
  order[++rows] = $1
  own[$1] = FILENAME ~ /more/
}

# Looks at one row, and returns its line.
function line_of(id,    parts, count, i, list, shown, tests, missing, row, text) {
  tests = named[id]
  count = split(symbols[id], parts, " ")
  list = ""
  missing = ""
  for (i = 1; i <= count; i++) {
    if (!(parts[i] in header)) missing = missing " " parts[i]
    shown = "`" parts[i] "`"
    if (parts[i] in header) shown = "[" shown "](../include/troupe/" header[parts[i]] ")"
    list = list (i > 1 ? ", " : "") shown
  }
  text = note[id]
  if (!(id in state)) {
    wrong("docs/parity-map.tsv: there is no row " id)
  } else if (state[id] == "done" || state[id] ~ /^as /) {
    if (state[id] != "done") {
      row = substr(state[id], 4)
      tests = named[row]
      if (state[row] != "done") wrong("row " id " is as " row ", which is not done")
    }
    if (count == 0) wrong("row " id " (" node[id] ") has no symbol")
    if (missing != "") wrong("row " id " (" node[id] "): no public header has" missing)
    if (tests == "") wrong("row " id " (" node[id] ") is named by no test")
    done[own[id]]++
  } else if (state[id] == "not yet") {
    if (count > 0 && missing == "" && tests != "") {
      print "row " id " (" node[id] ") is marked 'not yet', but has its symbols and a test"
    }
    text = "**Not yet.**" (text == "" ? "" : " " text)
    waiting[own[id]]++
  } else if (state[id] == "no") {
    if (count > 0 || text == "") wrong("row " id " is not there on purpose: it has a reason, and no symbol")
    list = "none"
  } else {
    wrong("docs/parity-map.tsv: row " id " has the unknown state '" state[id] "'")
  }
  gsub(/\|/, "\\|", text)
  return "| " id " | `" node[id] "` | " list " | " tests " | " text " |"
}

function title_of(section) {
  if (section == "isip") return "net.isIP"
  if (section == "blocklist") return "net.BlockList"
  if (section == "address") return "net.SocketAddress"
  if (section == "server") return "net.Server"
  if (section == "ipc") return "IPC"
  if (section == "socket") return "net.Socket"
  if (section == "connect") return "net.connect"
  if (section == "auto") return "Family autoselection"
  if (section == "shape") return "The shape of troupe"
  if (section == "beyond") return "Beyond Node"
  return "Beside the module"
}

END {
  for (i = 1; i <= rows; i++) {
    id = order[i]
    section = id
    sub(/\..*/, "", section)
    if (section != last) {
      body = body "\n## " title_of(section) "\n\n| row | Node | C | tests | what differs, and why |\n" \
        "| --- | ---- | - | ----- | --------------------- |\n"
      last = section
    }
    body = body line_of(id) "\n"
  }
  for (id in state) if (!(id in node)) wrong("docs/parity-map.tsv: row " id " is in no list of rows")
  for (id in named) if (!(id in node)) wrong(where[id] ": there is no row " id)

  total = done[0] + waiting[0]
  print "<!-- Written by tests/checks/parity.sh out of parity.tsv, parity-more.tsv and parity-map.tsv. Do not edit. -->" >page
  print "# Node's `net`, row by row\n" >page
  print "Everything that the documentation of `net` in Node.js 20 has, what it is called in troupe, and which tests show that" >page
  print "it does the same. Those below `node` ask Node itself, and compare." >page
  print "\nOf " total " rows " done[0] + 0 " are done" \
    (waiting[0] > 0 ? ", and " waiting[0] " are **not yet**." : ".") >page
  printf "%s", body >page
  if (reasons > 0) {
    print "\n## What the comparison shows\n" >page
    print "Where the same scenario, played with Node and with troupe, does not give the same events, the scenario has the" >page
    print "very difference and its reason. These are all of them.\n" >page
    for (i = 1; i <= reasons; i++) print "- " reason[i] " (" shown_in[reason[i]] ")" >page
  }
  exit failures > 0
}
END

awk -F '\t' -v page="$work/parity.md" -f "$work/page.awk" "$work/symbols" "$work/tests" "$work/differences" docs/parity-map.tsv docs/parity.tsv \
  docs/parity-more.tsv || exit 1

if [ $mode = write ]; then
  cp "$work/parity.md" docs/parity.md
elif ! diff -u docs/parity.md "$work/parity.md" >"$work/difference"; then
  grep -E "^[-+]" "$work/difference" | head -n 20 | cut -c 1-120
  echo "docs/parity.md is out of date: bash tests/checks/parity.sh writes it anew"
  exit 1
fi
sed -nE 's/^(Of [0-9]+ rows.*)$/    \1/p' "$work/parity.md" | sed 's/\*\*//g'
