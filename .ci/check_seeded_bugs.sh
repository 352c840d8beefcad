#!/bin/sh
# check_seeded_bugs.sh BUILD_DIR: what users get has nothing of storage/seeded_bug.h.
set -eu
if [ $# -ne 1 ]; then
  echo "usage: $0 BUILD_DIR" >&2
  exit 2
fi
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Prints the symbols and strings of $1 that come of a seeded bug.
traces() {
  nm -C "$1" >"$work/names"
  strings -a "$1" >>"$work/names"
  grep -q quarry "$work/names" || { echo "$1 has no names of Quarry to look at" && return; }
  grep -i seeded "$work/names" || true
}

# What is compiled with a bug must be noticed, or the rest says nothing.
cat >"$work/planted.cc" <<'END'
#include "storage/seeded_bug.h"
bool IsPlanted() { return quarry::storage::Seeded(quarry::storage::SeededBug::kLogNotSynced); }
END
"${CXX:-c++}" -std=c++20 -O3 -DQUARRY_SEEDED_BUGS -I"$root" -c "$work/planted.cc" -o "$work/planted.o"
if [ -z "$(traces "$work/planted.o")" ]; then
  echo "an object with a seeded bug is not told apart from one without; expected its symbols" >&2
  exit 1
fi

found=0
for file in "$1"/libquarry.a "$1"/libquarry.so "$1"/tools/quarry; do
  [ -e "$file" ] || continue
  found=1
  if [ -n "$(traces "$file")" ]; then
    traces "$file" | head -n 5 >&2
    echo "$file: has traces of seeded bugs; expected none" >&2
    exit 1
  fi
done
if [ $found -eq 0 ]; then
  echo "$1: no libquarry and no tools/quarry found; expected one of them" >&2
  exit 1
fi
