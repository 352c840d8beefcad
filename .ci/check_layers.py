#!/usr/bin/env python3
"""Fails when a file includes what its place does not allow.

A layer includes only itself and the layers to its left (LAYERS). Public headers
include public headers only. Some libraries and all intrinsics have one home
(HOMES). The demo uses the public interface alone.
"""
import fnmatch
import pathlib
import re
import sys

LAYERS = ["format", "storage", "engine", "tools"]

# What -> the files that may contain it (fnmatch patterns).
HOMES = [
    ("RocksDB", r'#include [<"]rocksdb/', ["storage/catalog*"]),
    ("Boost.Interprocess", r'#include [<"]boost/interprocess', ["storage/mapped_file*"]),
    ("CLI11", r'#include [<"](CLI/|tools/cli\.h)', ["tools/cli*"]),
    ("Eigen", r'#include [<"]Eigen/', ["engine/eigen.h"]),
    ("xsimd", r'#include [<"]xsimd', ["engine/kernels/*"]),
    (
        "SIMD intrinsics",
        r'#include [<"](\w*intrin|arm_neon)\.h|\b_mm\d*_\w+\s*\(|\b__m(128|256|512)',
        ["engine/kernels/*_ops.h", "engine/kernels/load.h"],
    ),
]

INCLUDE = re.compile(r'\s*#\s*include ["<]([^">]+)[">]')


def public_headers(root):
    """Maps "quarry/x.h" to the layer it belongs to."""
    return {
        f"quarry/{header.name}": layer
        for layer in LAYERS
        for header in (root / layer / "include/quarry").glob("*.h")
    }


def include_fault(path, layer, name, owners):
    """Says why `path`, a file of `layer`, may not include `name`, or None."""
    target = owners.get(name) or name.split("/")[0]
    if target in LAYERS and LAYERS.index(target) > LAYERS.index(layer):
        return f"{layer} must not include {name} of {target}, a layer above it"
    if "/include/quarry/" in path and target in LAYERS and name not in owners:
        return f"a public header must not include the internal {name}"
    if path.startswith("tools/demo") and target in LAYERS:
        if name not in owners and not name.startswith("tools/demo"):
            return f"the demo uses the public interface only, not {name}"
    return None


def faults_of_file(root, file, layer, owners):
    path = file.relative_to(root).as_posix()
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        include = INCLUDE.match(line)
        fault = include and include_fault(path, layer, include[1], owners)
        if fault:
            yield f"{path}:{number}: {fault}"
        for what, pattern, homes in HOMES:
            if re.search(pattern, line) and not any(fnmatch.fnmatch(path, h) for h in homes):
                yield f"{path}:{number}: {what}: only in {' or '.join(homes)}"


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    owners = public_headers(root)
    faults = []
    files = 0
    for layer in LAYERS:
        for file in sorted([*(root / layer).rglob("*.h"), *(root / layer).rglob("*.cc")]):
            files += 1
            faults += faults_of_file(root, file, layer, owners)
    if files == 0:
        faults.append(f"no source files in {', '.join(LAYERS)}")
    print("\n".join(faults), end="\n" if faults else "", file=sys.stderr)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
