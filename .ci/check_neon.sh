#!/usr/bin/env bash
# Compiles the kernels for aarch64, where the baseline is NEON, and runs their
# tests in an emulator: each compares with the bits of the definition.
#
#   check_neon.sh [BUILD_DIR]      default build/neon
#
# Skipped, with exit code 0 and a line that says so, where the cross compiler, the
# emulator or the sources of GoogleTest are absent (CONTRIBUTING.md says how to get
# them).

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=$(realpath -m "${1:-build/neon}")
googletest=/usr/src/googletest
xsimd=/usr/include/xsimd

missing=()
for command in aarch64-linux-gnu-g++ qemu-aarch64; do
  command -v "$command" >/dev/null || missing+=("$command")
done
for directory in "$googletest" "$xsimd"; do
  [[ -d $directory ]] || missing+=("$directory")
done
if ((${#missing[@]} > 0)); then
  printf 'kernels for aarch64: skipped: not installed: %s\n' "${missing[*]}"
  exit 0
fi

# xsimd alone of /usr/include: the other headers there are of this machine.
mkdir -p "$build/headers"
ln -sfn "$xsimd" "$build/headers/xsimd"
launcher=()
if command -v ccache >/dev/null; then
  launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
cmake -G Ninja -S tests/neon -B "$build" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
  -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ \
  -DQUARRY_HEADERS="$build/headers" -DQUARRY_GOOGLETEST="$googletest" "${launcher[@]}" \
  >"$build/cmake.log" 2>&1 || { cat "$build/cmake.log"; exit 1; }
cmake --build "$build" --parallel "${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}" --target quarry_neon_tests

# The libraries are those of the cross compiler. Death tests start their own program
# again, which the emulator cannot.
qemu-aarch64 -L /usr/aarch64-linux-gnu "$build/quarry_neon_tests" --gtest_brief=1 --gtest_filter='-*DeathTest.*'
