#!/bin/sh
# check_kernel_symbols.sh BUILD_DIR: each object of a kernel may define exactly one
# global symbol, its table. Anything else could be merged by the linker with a copy
# meant for another CPU. Personality pointers of exception handling, the type names
# that clang's UBSan compares and the markers of AddressSanitizer carry no code.
set -eu
if [ $# -ne 1 ]; then
  echo "usage: $0 BUILD_DIR" >&2
  exit 2
fi

objects=$(find "$1" -path '*quarry_kernels_*' -name '*.cc.o')
if [ -z "$objects" ]; then
  echo "$1: no kernel object (quarry_kernels_*/**/*.cc.o) found" >&2
  exit 1
fi

failed=0
while read -r object; do
  shared=$(nm -C --defined-only "$object" | grep -E ' [A-Zu] ' |
           grep -vE ' (DW\.ref\.|V typeinfo |__odr_asan)' || true)
  tables=$(echo "$shared" | grep -cE ' quarry::kernels::k[A-Z][A-Za-z0-9]*$' || true)
  extra=$(echo "$shared" | grep -vE ' quarry::kernels::k[A-Z][A-Za-z0-9]*$' || true)
  if [ "$tables" -ne 1 ] || [ -n "$extra" ]; then
    echo "$object: expected one global symbol, a table; found:" >&2
    echo "${shared:-none}" >&2
    failed=1
  fi
done <<END
$objects
END
exit $failed
