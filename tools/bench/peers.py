#!/usr/bin/env python3
"""Compares Quarry with other exact searches on the same vectors, queries and machine.

    peers.py QUARRY OUTPUT [--rows 200000] [--dim 384] [--data real,noise] [--rounds 7] [--cores N,...]
             [--only TEXT,...] [--skip TEXT,...] [--work DIRECTORY]
    peers.py QUARRY OUTPUT --sizes [10000,50000,200000,500000] ...

QUARRY is the `quarry` binary. Makes a virtual environment in the work directory with numpy and whatever of FAISS,
USearch, hnswlib, nseekfs, numpy-vector-store and indexdoc-vector can be installed; what cannot, or fails, is reported
as absent. For each kind of data: generates it (fixed seed), imports it, and times top-10 by inner product for 1 and for
256 queries, on one thread and on all. In each round every system runs once, so that other work on a shared machine
meets all alike; a figure is the median of its rounds. Fails when Quarry's ids differ from FAISS's beyond ties. Writes
OUTPUT/benchmarks.md (tables), OUTPUT/benchmarks.svg (time against recall) and OUTPUT/benchmarks.json (every figure).

--cores 4,2 times on 1, 4 and 2 threads, all systems pinned to as many CPUs. --only leaves out systems whose names have
none of the texts, --skip those that have one; exact inner products of FAISS are always there where FAISS is.

--sizes times one query at a time on all cores (or those of --cores), on `real` data of each number of rows, beside
nseekfs (or those of --only), and writes OUTPUT/sizes.md and OUTPUT/sizes.json.

Data: `real` resembles text embeddings: a mean that is not zero and variances that fall from dimension to dimension,
rotated, at unit length. `noise` is normal noise, also at unit length: the worst case for methods that leave out.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

from peer_report import report, sizes_report
from peer_systems import PACKAGES, SOURCE_ONLY, WITHOUT_DEPENDENCIES
from plot import plot

HERE = pathlib.Path(__file__).resolve().parent
# Where libraries read how many threads they may use.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NSEEK_THREADS", "RAYON_NUM_THREADS",
)


def prepare(environment):
    """A virtual environment with what can be had; returns its interpreter."""
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    for package, module in PACKAGES:
        if subprocess.run([python, "-c", f"import {module}"], stderr=subprocess.DEVNULL).returncode == 0:
            continue
        command = [python, "-m", "pip", "install", "--quiet", package]
        if package not in SOURCE_ONLY:
            command.append("--only-binary=:all:")
        if package in WITHOUT_DEPENDENCIES:
            command.append("--no-deps")
        if subprocess.run(command).returncode != 0:
            if package == "numpy":
                sys.exit("peers.py: numpy cannot be installed, and the data needs it")
            print(f"{package}: absent, cannot be installed", file=sys.stderr)
    return python


def cpus(count):
    """As many CPUs of this process, one of each core before the second of any."""
    seen, ranked = {}, []
    for cpu in sorted(os.sched_getaffinity(0)):
        topology = pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        names = ("physical_package_id", "core_id")
        # Without a topology each CPU counts as a core.
        core = tuple((topology / name).read_text() for name in names) if topology.exists() else cpu
        seen[core] = seen.get(core, 0) + 1
        ranked.append((seen[core], cpu))
    if count > len(ranked):
        sys.exit(f"peers.py: --cores {count}: expected at most {len(ranked)}, the CPUs that this process may use")
    return {cpu for _, cpu in sorted(ranked)[:count]}


def run_job(python, job, pinned=None):
    """Runs peer_timing.py; returns what it prints."""
    environment = dict(os.environ)
    if "threads" in job:
        environment.update(dict.fromkeys(THREAD_VARIABLES, str(job["threads"])))
    done = subprocess.run(
        [python, HERE / "peer_timing.py", json.dumps(job)],
        stdout=subprocess.PIPE,
        env=environment,
        preexec_fn=(lambda: os.sched_setaffinity(0, pinned)) if pinned else None,
    )
    if done.returncode != 0:
        sys.exit(f"peers.py: peer_timing.py failed (exit {done.returncode}) in: {json.dumps(job)}")
    return done.stdout


def prepare_data(python, quarry, kind, rows, dim, work):
    """Vectors, queries and a store in a directory, which is returned; kept for the next run."""
    directory = work / f"{rows}x{dim}"
    store = directory / f"{kind}.store"
    if store.exists():
        return directory
    print(f"{rows:,} x {dim} {kind}: data and store", file=sys.stderr)
    directory.mkdir(parents=True, exist_ok=True)
    run_job(python, {"kind": kind, "rows": rows, "dim": dim, "directory": str(directory)})
    # Under its name only once it is whole.
    part = directory / f"{kind}.part"
    shutil.rmtree(part, ignore_errors=True)
    vectors = directory / f"{kind}.npy"
    command = [quarry, "import", part, "vectors", vectors, "--create", "--metric", "dot", "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    part.rename(store)
    return directory


def time_all(python, options, kind, rows, batches, threads):
    """A run for each number of threads."""
    directory = prepare_data(python, options.quarry, kind, rows, options.dim, options.work)
    runs = []
    for count in threads:
        print(f"{rows:,} x {options.dim} {kind}: {count} threads", file=sys.stderr)
        job = {"kind": kind, "rows": rows, "dim": options.dim, "directory": str(directory)}
        job.update(quarry=str(options.quarry), threads=count, rounds=options.rounds, batches=batches)
        job.update(only=options.only, skip=options.skip)
        run = json.loads(run_job(python, job, cpus(count) if options.cores else None))
        if options.cores:
            run["cores"] = count
        runs.append(run)
    return runs


def arguments():
    def texts(value):
        return [text for text in value.split(",") if text]

    def numbers(value):
        found = [int(text) for text in value.split(",")]
        if min(found) < 1:
            raise argparse.ArgumentTypeError(f"expected numbers of at least 1, got {value}")
        return found

    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("quarry", type=pathlib.Path, help="the quarry command of a release build")
    parser.add_argument("output", type=pathlib.Path, help="directory for the table and the plot")
    parser.add_argument("--rows", type=int, default=200_000, help="default 200000")
    parser.add_argument("--dim", type=int, default=384, help="default 384")
    parser.add_argument("--data", type=texts, default=["real", "noise"], help="real, noise or both (default)")
    parser.add_argument("--rounds", type=int, default=7, help="default 7")
    parser.add_argument("--cores", type=numbers, metavar="N,...",
                        help="times on 1 and on each of these numbers of threads, pinned to as many CPUs")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/peers"),
                        help="directory for the virtual environment and the data; default build/peers")
    parser.add_argument("--only", type=texts, default=[],
                        help="only systems with one of these texts, separated by commas, in their names")
    parser.add_argument("--skip", type=texts, default=[], help="no systems with one of these texts in their names")
    parser.add_argument("--sizes", type=numbers, nargs="?", const=[10_000, 50_000, 200_000, 500_000],
                        metavar="ROWS,...", help="one query at a time at each number of rows, beside nseekfs")
    options = parser.parse_args()
    options.quarry, options.work = options.quarry.resolve(), options.work.resolve()
    if not options.only:
        options.only = ["nseekfs"] if options.sizes else [""]  # the empty text is in every name
    return options


def compare_sizes(python, options):
    threads = options.cores or [len(os.sched_getaffinity(0))]
    results = {rows: time_all(python, options, "real", rows, [1], threads) for rows in options.sizes}
    (options.output / "sizes.json").write_text(json.dumps(results, indent=1) + "\n")
    text = sizes_report(results, "real", options.dim)
    (options.output / "sizes.md").write_text(text)
    print(text)


def compare_systems(python, options):
    threads = dict.fromkeys([1, *(options.cores or [len(os.sched_getaffinity(0))])])
    results = {kind: time_all(python, options, kind, options.rows, [1, 256], threads) for kind in options.data}
    (options.output / "benchmarks.json").write_text(json.dumps(results, indent=1) + "\n")
    text = report(results, options.rows, options.dim)
    (options.output / "benchmarks.md").write_text(text)
    (options.output / "benchmarks.svg").write_text(plot(results, f"{options.rows:,} x {options.dim}"))
    print(text)


def main():
    options = arguments()
    for count in options.cores or []:
        cpus(count)  # refused before the work begins
    options.output.mkdir(parents=True, exist_ok=True)
    options.work.mkdir(parents=True, exist_ok=True)
    python = prepare(options.work / "venv")
    if options.sizes:
        compare_sizes(python, options)
    else:
        compare_systems(python, options)


if __name__ == "__main__":
    main()
