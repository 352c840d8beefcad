#!/usr/bin/env bash
# Installs Quarry into a temporary prefix, as a static and as a shared library,
# and builds and runs a separate project (tests/consumer) against each.
#
#   check_install.sh [BUILD_DIR]
#
# Both are linked from the objects of BUILD_DIR (default build/release), of which
# the static library is built last.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
build_dir=${1:-build/release}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# install_as KIND: into the prefix $scratch/KIND.
install_as() {
  local shared=OFF
  [[ $1 != shared ]] || shared=ON
  cmake -DBUILD_SHARED_LIBS="$shared" "$build_dir" >"$scratch/install.log"
  cmake --build "$build_dir" --parallel "$jobs" --target quarry quarry_command
  cmake --install "$build_dir" --prefix "$scratch/$1" >"$scratch/install.log"
}

# What the consumer must print: orange lies nearest to red (2/sqrt(5)), then to
# green (1/sqrt(5)).
expected=$(printf '%s\t%s\t%s\n' \
  red 0.894427 '{"hex":"#ff0000"}' \
  green 0.447214 '{"hex":"#00ff00"}')

# check_consumer KIND [CMAKE OPTIONS]: against the prefix $scratch/KIND.
check_consumer() {
  local kind=$1 build=$scratch/consumer-$1 got
  shift
  cmake -G Ninja -S tests/consumer -B "$build" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_PREFIX_PATH="$scratch/$kind" "$@" >"$build.log" 2>&1 || { cat "$build.log"; return 1; }
  cmake --build "$build" >"$build.log" 2>&1 || { cat "$build.log"; return 1; }
  got=$("$build/consumer" "$scratch/store-$kind")
  if [[ $got != "$expected" ]]; then
    printf 'the consumer of the %s library printed:\n%s\nexpected:\n%s\n' "$kind" "$got" "$expected"
    return 1
  fi
  printf 'consumer of the %s library: ok\n' "$kind"
}

install_as shared
# Users of the shared library need none of the packages it is built from.
check_consumer shared \
  -DCMAKE_DISABLE_FIND_PACKAGE_RocksDB=ON -DCMAKE_DISABLE_FIND_PACKAGE_FlatBuffers=ON \
  -DCMAKE_DISABLE_FIND_PACKAGE_roaring=ON -DCMAKE_DISABLE_FIND_PACKAGE_simdjson=ON \
  -DCMAKE_DISABLE_FIND_PACKAGE_fmt=ON

install_as static
# Users of the static library need what it links, but no library of headers alone.
check_consumer static \
  -DCMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON -DCMAKE_DISABLE_FIND_PACKAGE_xsimd=ON \
  -DCMAKE_DISABLE_FIND_PACKAGE_Boost=ON -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON
