#!/usr/bin/env python3
"""Searches of a store that is larger than the memory it may have, against the disk's own rate.

    tools/bench/cold.py build/release/tools/quarry [--directory /var/tmp] [--rounds 5]

Makes two stores on the disk of --directory: one whose searches scan 1 GiB of i8 sketches, one
whose searches scan 1 GiB of f32 vectors. Each is searched without a limit and under
--max-resident of 256 MiB, a quarter. Before each run the store's pages are dropped from the page cache. One round measures the disk, then each
case. The disk is read with O_DIRECT, the best of several sizes and threads, into a ring of 256 MiB,
for a scan's data cannot stay in the caches of the CPU either: once into memory in pages of 4 KiB,
as dd does, and once in pages of 2 MiB, which takes fewer segments a request. A case's rate is what
the search process read from the disk, less what opening reads, over the time of its searches.
Last, a longer run is
watched: the most that the page cache held of the store's planes.

To let the kernel enforce a limit as well, run the script in a memory cgroup:
    systemd-run --scope -p MemoryMax=512M tools/bench/cold.py ...
(ulimit -v bounds addresses, not the page cache: a mapped store needs as many as it has bytes.)
"""

import argparse
import json
import mmap
import os
import pathlib
import shutil
import statistics
import struct
import subprocess
import tempfile
import threading
import time

DIM = 384
MIB = 1 << 20
BYTES = 1024 * MIB  # of the plane that is scanned
RING = 256 * MIB
QUERIES = 8
# By what is scanned: level, sketch, and the bytes of a row in that plane.
SCANS = {"i8 sketch": ("f16", "i8", DIM), "f32": ("f32", "none", 4 * DIM)}


def write_queries(path, rows):
    """An fbin file of random f32: signs at random, magnitudes of 0.5 to 2."""
    signs = bytes(0x3F | (b & 0x80) for b in range(256))
    values = bytearray(os.urandom(4 * rows * DIM))
    values[3::4] = values[3::4].translate(signs)
    path.write_bytes(struct.pack("<II", rows, DIM) + values)


def write_vectors(path, rows):
    """An npy file of random i8."""
    head = f"{{'descr': '|i1', 'fortran_order': False, 'shape': ({rows}, {DIM}), }}".encode()
    head += b" " * (117 - len(head)) + b"\n"
    with path.open("wb") as out:
        out.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
        for first in range(0, rows, 100000):
            out.write(os.urandom(min(100000, rows - first) * DIM))


def planes(store):
    return sorted((store / "slabs").iterdir())


def drop(store):
    for path in store.rglob("*"):
        if not path.is_file():
            continue
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def cached(store):
    """Bytes of the store's planes in the page cache."""
    out = subprocess.run(["fincore", "-b", "-n", "-o", "RES", *planes(store)],
                         check=True, capture_output=True, text=True).stdout
    return sum(int(line) for line in out.split())


def direct_rate(paths, piece, threads, advice):
    """Bytes per second of O_DIRECT reads of whole files into memory with an advice."""
    pieces = [(path, offset) for path in paths for offset in range(0, path.stat().st_size, piece)]
    ring = mmap.mmap(-1, RING, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    ring.madvise(advice)
    for offset in range(0, RING, mmap.PAGESIZE):
        ring[offset] = 1
    view = memoryview(ring)
    fds = {path: os.open(path, os.O_RDONLY | os.O_DIRECT) for path in paths}
    total = [0] * threads
    share = RING // threads
    lock = threading.Lock()
    left = iter(pieces)

    def read(worker):
        begin, at = worker * share, 0
        while True:
            with lock:
                item = next(left, None)
            if item is None:
                return
            total[worker] += os.preadv(fds[item[0]], [view[begin + at:begin + at + piece]],
                                        item[1])
            at = (at + piece) % share

    workers = [threading.Thread(target=read, args=(i,)) for i in range(threads)]
    began = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.monotonic() - began
    for fd in fds.values():
        os.close(fd)
    return sum(total) / seconds


def disk_rate(store, advice):
    paths = [p for p in planes(store) if p.stat().st_size >= 16 * MIB]
    return max(direct_rate(paths, piece, threads, advice)
               for piece in (MIB, 4 * MIB) for threads in (1, 4))


def run(command):
    """Output lines, and the bytes that the process read from the disk."""
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    lines = process.stdout.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command[1]} failed with exit code {process.returncode}")
    return lines, usage.ru_inblock * 512


def search(args, store, threads, limit, queries):
    command = [args.quarry, "--threads", threads, "--quiet", "search", store, "c",
               "--queries", queries, "--explain", "--json"]
    return command if limit == 0 else [*command, "--max-resident", limit]


def scan_rate(args, store, threads, limit, queries):
    drop(store)
    _, opening = run([args.quarry, "count", store, "c"])
    drop(store)
    left = cached(store)
    if left > MIB:
        raise SystemExit(f"{left} bytes of {store} stay in the page cache")
    lines, read = run(search(args, store, threads, limit, queries))
    micros = sum(json.loads(line)["explain"]["micros"] for line in lines)
    return (read - opening) / (micros / 1e6)


def peak(args, store, threads, limit, queries):
    """The most and the last of the planes that the page cache held during a search."""
    drop(store)
    command = [str(c) for c in search(args, store, threads, limit, queries)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        most = max(most, cached(store))
    return most, cached(store)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("quarry", type=pathlib.Path)
    parser.add_argument("--directory", default="/var/tmp", help="on the disk to measure")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    directory = pathlib.Path(tempfile.mkdtemp(prefix="quarry-cold-", dir=args.directory))
    try:
        vectors = directory / "vectors.npy"
        queries, one = directory / "queries.fbin", directory / "query.fbin"
        write_queries(queries, QUERIES)
        write_queries(one, 1)
        stores = {}
        for scan, (level, sketch, row_bytes) in SCANS.items():
            write_vectors(vectors, BYTES // row_bytes)
            stores[scan] = directory / level
            run([args.quarry, "--quiet", "import", stores[scan], "c", vectors, "--create",
                 "--dim", DIM, "--metric", "dot", "--level", level, "--sketch", sketch])
            vectors.unlink()

        # What is scanned, threads, limit: a quarter of that, or none.
        cases = [(scan, threads, limit) for scan in SCANS
                 for threads in (1, 4) for limit in (0, BYTES // 4)]
        small, large = mmap.MADV_NOHUGEPAGE, mmap.MADV_HUGEPAGE
        disks = {small: [], large: []}
        ratios = {case: {small: [], large: []} for case in cases}
        for _ in range(args.rounds):
            for advice, rates in disks.items():
                rates.append(disk_rate(stores["f32"], advice))
            for case in cases:
                scan, threads, limit = case
                # Without a limit the second search would find all in memory.
                file = queries if limit else one
                rate = scan_rate(args, stores[scan], threads, limit, file)
                for advice, rates in disks.items():
                    ratios[case][advice].append(rate / rates[-1])
        for advice, name in ((small, "small"), (large, "large")):
            rates = [rate / 1e9 for rate in disks[advice]]
            print(f"disk, into {name} pages: {statistics.median(rates):.2f} GB/s "
                  f"({min(rates):.2f} to {max(rates):.2f})")
        print("scan\tthreads\tlimit_mib\tof_disk_small\tof_disk_large\tmin\tmax\tpeak_mib\tafter_mib")
        for case in cases:
            scan, threads, limit = case
            most, last = peak(args, stores[scan], threads, limit, queries)
            r = ratios[case][large]
            print(f"{scan}\t{threads}\t{limit // MIB or '-'}\t"
                  f"{statistics.median(ratios[case][small]):.2f}\t{statistics.median(r):.2f}\t"
                  f"{min(r):.2f}\t{max(r):.2f}\t{most // MIB}\t{last // MIB}")
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
