#!/usr/bin/env bash
# Every link in a Markdown file to a file of the repository, and to a heading in it, leads somewhere. Links to the web are
# not followed: what a check says must not depend on somebody else's server.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The file without its fenced code and without code spans: brackets there are no links.
prose() {
  awk '/^ *(```|~~~)/ { fenced = !fenced; next } !fenced { gsub(/`[^`]*`/, "x"); print }' "$1"
}

# The anchors of a file's headings, made as the usual viewers make them.
anchors() {
  awk '/^ *(```|~~~)/ { fenced = !fenced } !fenced && /^#+ / { sub(/^#+ +/, ""); print }' "$1" |
    tr '[:upper:]' '[:lower:]' | sed -E 's/`//g; s/[^a-z0-9 _-]//g; s/ /-/g'
}

status=0
while IFS= read -r document; do
  while IFS= read -r target; do
    case $target in
    http://* | https://* | mailto:*) continue ;;
    esac
    path=${target%%#*}
    anchor=
    case $target in *'#'*) anchor=${target#*#} ;; esac
    if [ -z "$path" ]; then
      path=$document
    else
      path=$(dirname "$document")/$path
    fi
    if [ ! -e "$path" ]; then
      echo "$document: ($target) leads nowhere"
      status=1
    elif [ -n "$anchor" ] && [ "${path%.md}" != "$path" ] && ! anchors "$path" | grep -qxF -- "$anchor"; then
      echo "$document: ($target): there is no such heading"
      status=1
    fi
  done < <(prose "$document" | grep -oE '\]\([^) ]+' | sed 's/^](//' || true)
  while IFS= read -r target; do
    case $target in
    http://* | https://* | mailto:* | '#'*) continue ;;
    esac
    if [ ! -e "$(dirname "$document")/${target%%#*}" ]; then
      echo "$document: [...]: $target leads nowhere"
      status=1
    fi
  done < <(prose "$document" | sed -nE 's/^ {0,3}\[[^]]+\]: +<?([^ >]+).*$/\1/p' || true)
done < <(find . \( -name build -o -name .git -o -name node_modules \) -prune -o -name '*.md' -print | sed 's,^\./,,' | sort)
exit $status
