#!/usr/bin/env bash
# Fails on what a reader should not have to notice: layout, files that are too
# long, paths of somebody's machine, and schemas that old files could not follow.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=0
complain() {
  printf '%s\n' "$*" >&2
  failed=1
}

mapfile -d '' -t sources < <(
  find format storage engine tools tests \( -name '*.h' -o -name '*.cc' \) -print0 | sort -z
)
((${#sources[@]} > 0)) || complain "no source files found"

clang-format --dry-run -Werror "${sources[@]}" || complain "layout: run tools/dev format"

# Tests are lists of cases and may be longer than code.
for file in "${sources[@]}"; do
  limit=500
  [[ $file != tests/* ]] || limit=700
  lines=$(wc -l <"$file")
  ((lines <= limit)) || complain "$file: $lines lines, the limit is $limit: split it"
done

# Absolute paths that exist on one machine only.
if grep -rnIE "(^|[^A-Za-z0-9_.>})-])/(home|root|Users|work|farm|mnt)/" \
  --exclude-dir=.git --exclude-dir=build .; then
  complain "paths of one machine: see above"
fi

# Every schema has a frozen copy for each released format version, and what the
# copies describe can still be read: fields are only ever appended.
shopt -s nullglob
schemas=(format/*.fbs)
releases=(format/released/v*/)
((${#schemas[@]} > 0)) || complain "format: no schemas (*.fbs)"
((${#releases[@]} > 0)) || complain "format/released: no frozen schemas (v1/*.fbs)"
newest=$(printf '%s\n' "${releases[@]}" | sort -V | tail -n 1)
for schema in "${schemas[@]}"; do
  [[ -f $newest${schema##*/} ]] || complain "$newest${schema##*/}: frozen copy of $schema is missing"
done
for release in "${releases[@]}"; do
  for frozen in "$release"*.fbs; do
    schema=format/${frozen##*/}
    if [[ ! -f $schema ]]; then
      complain "$schema: is gone, but $frozen describes files that exist"
    elif ! flatc --conform "$frozen" "$schema"; then
      complain "$schema: does not conform to $frozen"
    fi
  done
done

exit "$failed"
