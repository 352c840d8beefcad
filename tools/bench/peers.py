#!/usr/bin/env python3
"""Compares Quarry with other exact searches on the same vectors, queries and machine.

    peers.py QUARRY OUTPUT [--rows 200000] [--dim 384] [--data real,noise] [--rounds 7]
             [--only TEXT,...] [--work DIRECTORY]

QUARRY is the `quarry` binary. Makes a virtual environment in the work directory with numpy and whatever of FAISS,
USearch and hnswlib can be installed; what cannot is reported as absent. For each kind of data: generates it (fixed seed),
imports it, and times top-10 by inner product for 1 and for 256 queries, on one thread and on all. In each round every
system runs once, so that other work on a shared machine meets all alike; a figure is the median of its rounds. Fails
when Quarry's ids differ from FAISS's beyond ties. Writes OUTPUT/benchmarks.md (tables), OUTPUT/benchmarks.svg (time
against recall) and OUTPUT/benchmarks.json (every figure). --only leaves out systems whose names have none of the texts;
exact inner products of FAISS are always there where FAISS is.

Data: `real` resembles text embeddings: a mean that is not zero and variances that fall from dimension to dimension,
rotated, at unit length. `noise` is normal noise, also at unit length: the worst case for methods that leave out.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
BATCHES = (1, 256)
K = 10
BASE = "FAISS IndexFlatIP"
QUARRY = "Quarry"


def prepare(environment):
    """A virtual environment with what can be had; returns its interpreter."""
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    for package in ("numpy", "faiss-cpu", "usearch", "hnswlib"):
        module = {"faiss-cpu": "faiss"}.get(package, package)
        if subprocess.run([python, "-c", f"import {module}"], stderr=subprocess.DEVNULL).returncode == 0:
            continue
        done = subprocess.run([python, "-m", "pip", "install", "--quiet", "--only-binary=:all:", package])
        if done.returncode != 0:
            if package == "numpy":
                sys.exit("peers.py: numpy cannot be installed, and the data needs it")
            print(f"{package}: absent, cannot be installed", file=sys.stderr)
    return python


# ---- in the virtual environment -------------------------------------------------------------------------------------


def generate(kind, rows, dim, seed):
    """[rows, dim] f32 at unit length, and 256 queries of the same distribution."""
    import numpy as np

    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((dim, dim)))[0].astype(np.float32)
    spread = (1.0 / (1.0 + np.arange(dim)) ** 0.5).astype(np.float32)
    mean = rng.standard_normal(dim).astype(np.float32)
    mean *= np.sqrt((spread**2).sum()) * 0.7 / np.linalg.norm(mean)

    def draw(count):
        out = np.empty((count, dim), np.float32)
        for begin in range(0, count, 50_000):
            part = rng.standard_normal((min(50_000, count - begin), dim), dtype=np.float32)
            if kind == "real":
                part = (part * spread) @ rotation + mean
            out[begin : begin + len(part)] = part / np.linalg.norm(part, axis=1, keepdims=True)
        return out

    return draw(rows), draw(max(BATCHES))


def faiss_systems(data, threads):
    import faiss

    faiss.omp_set_num_threads(threads)
    dim = data.shape[1]
    library_default = faiss.cvar.distance_compute_blas_threshold

    def with_index(index, blas_threshold):
        def run(queries):
            faiss.cvar.distance_compute_blas_threshold = blas_threshold
            return index.search(queries, K)[1]

        return run

    flat, flat_l2 = faiss.IndexFlatIP(dim), faiss.IndexFlatL2(dim)
    flat.add(data)
    flat_l2.add(data)
    systems = {
        BASE: with_index(flat, library_default),
        "FAISS IndexFlatIP, BLAS always": with_index(flat, 1),
        "FAISS IndexFlatIP, BLAS never": with_index(flat, 1 << 30),
        "FAISS IndexFlatL2": with_index(flat_l2, library_default),
    }
    for name, kind in (("fp16", faiss.ScalarQuantizer.QT_fp16), ("8bit", faiss.ScalarQuantizer.QT_8bit)):
        index = faiss.IndexScalarQuantizer(dim, kind, faiss.METRIC_INNER_PRODUCT)
        index.train(data)
        index.add(data)
        systems[f"FAISS SQ {name}"] = with_index(index, library_default)
    return systems


def usearch_systems(data, threads):
    from usearch.index import MetricKind, search

    return {
        "USearch exact": lambda queries: search(
            data, queries, K, MetricKind.IP, exact=True, threads=threads
        ).keys.reshape(len(queries), -1)
    }


def numpy_systems(data, threads):
    import numpy as np

    def run(queries):
        scores = queries @ data.T
        best = np.argpartition(scores, -K, axis=1)[:, -K:]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        return np.take_along_axis(best, order, axis=1)

    return {"numpy": run}


def hnswlib_systems(data, threads):
    import hnswlib
    import numpy as np

    index = hnswlib.BFIndex(space="ip", dim=data.shape[1])
    index.init_index(max_elements=len(data))
    index.add_items(data, np.arange(len(data)))
    return {"hnswlib brute force": lambda queries: index.knn_query(queries, k=K, num_threads=threads)[0]}


def quarry_json(quarry, command, store, files, *options):
    done = subprocess.run(
        [quarry, command, store, "vectors", "--queries", files, "-k", str(K), "--json", "--quiet", *options],
        check=True,
        stdout=subprocess.PIPE,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_same(data, queries, ids, truth):
    """Quarry orders by exact scores: ids may differ from FAISS's only among scores that f32 cannot tell apart."""
    import numpy as np

    ties = 0
    for q, (got, want) in enumerate(zip(ids, truth)):
        for rank, (a, b) in enumerate(zip(got, want)):
            if a == b:
                continue
            scores = data[[a, b]].astype(np.float64) @ queries[q].astype(np.float64)
            if abs(scores[0] - scores[1]) > 1e-6:
                sys.exit(f"query {q}, rank {rank}: Quarry has id {a} ({scores[0]}), FAISS {b} ({scores[1]})")
            ties += 1
    return ties


def worker(quarry, kind, directory, threads, rounds, only):
    """Times all systems with this many threads; prints one JSON object."""
    import numpy as np

    data = np.load(directory / f"{kind}.npy")
    queries = np.load(directory / f"{kind}.queries.npy")
    store = directory / f"{kind}.store"
    files = {1: directory / f"{kind}.query.npy", 256: directory / f"{kind}.queries.npy"}
    systems, absent = {}, []
    for add in (faiss_systems, usearch_systems, numpy_systems, hnswlib_systems):
        try:
            systems.update(add(data, threads))
        except ImportError as error:
            absent.append(error.name)
    systems = {name: run for name, run in systems.items() if name == BASE or any(part in name for part in only)}

    answers = {name: run(queries) for name, run in systems.items()}  # warms up, too
    found = quarry_json(quarry, "search", store, files[256])
    ours = np.array([[hit["id"] for hit in line["hits"]] for line in found])
    truth = answers.get(BASE)
    ties = None
    if truth is None:
        truth = ours  # no FAISS here: exact by itself
    else:
        ties = check_same(data, queries, ours, truth)
    answers[QUARRY] = ours
    recall = {
        name: float(np.mean([len(set(map(int, a)) & set(map(int, b))) / K for a, b in zip(ids, truth)]))
        for name, ids in answers.items()
    }

    cases = []
    for batch in BATCHES:
        part = queries[:batch]
        times = {name: [] for name in [QUARRY, *systems]}
        lines = []
        for number in range(rounds):
            # Another one goes first in each round.
            names = list(times)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                if name == QUARRY:
                    lines += quarry_json(
                        quarry, "bench", store, files[256], "--batch", str(batch), "--threads", str(threads)
                    )
                    times[name].append(lines[-1]["p50_ms"] / 1e3 / batch)
                    continue
                # As many calls as fit half a second, their median: `quarry bench` times that way for a second.
                calls, began = [], time.perf_counter()
                while not calls or (time.perf_counter() - began < 0.5 and len(calls) < 200):
                    start = time.perf_counter()
                    systems[name](part)
                    calls.append(time.perf_counter() - start)
                times[name].append(statistics.median(calls) / batch)
        share, refined = (
            statistics.median(line[key] for line in lines) for key in ("bandwidth_share", "rows_refined_per_query")
        )
        for name, seconds in times.items():
            case = {"system": name, "batch": batch, "ms": 1e3 * statistics.median(seconds), "recall": recall[name]}
            if BASE in times:
                # Round by round, so that what disturbed a whole round cancels out.
                case["faster"] = statistics.median(b / s for b, s in zip(times[BASE], seconds))
            if name == QUARRY:
                case.update(bandwidth_share=share, refined=refined)
            cases.append(case)
    print(json.dumps({"threads": threads, "absent": absent, "ties": ties, "cases": cases}))


def make_data(kind, rows, dim, directory):
    import numpy as np

    data, queries = generate(kind, rows, dim, seed=20240607)
    np.save(directory / f"{kind}.npy", data)
    np.save(directory / f"{kind}.queries.npy", queries)
    np.save(directory / f"{kind}.query.npy", queries[:1])


# ---- the report -----------------------------------------------------------------------------------------------------


def table(run):
    def cells(case):
        if case is None:
            return ["", ""]
        ratio = f"{case['faster']:.2f}" if "faster" in case else ""
        return [f"{case['ms']:.3g}", ratio]

    systems = list(dict.fromkeys(case["system"] for case in run["cases"]))
    by_key = {(case["system"], case["batch"]): case for case in run["cases"]}
    lines = [
        "| system | 1 query, ms | x FAISS | 256 queries, ms each | x FAISS | recall@10 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for system in systems:
        row = [f"**{system}**" if system == QUARRY else system]
        for batch in BATCHES:
            row += cells(by_key.get((system, batch)))
        row.append(f"{by_key[system, BATCHES[0]]['recall']:.4f}")
        lines.append("| " + " | ".join(row) + " |")
    ours = [by_key[QUARRY, batch] for batch in BATCHES]
    lines += [
        "",
        f"Quarry read at {ours[0]['bandwidth_share']:.2f} of the memory bandwidth for 1 query and "
        f"{ours[1]['bandwidth_share']:.2f} for 256; rows refined for each query: "
        f"{ours[0]['refined']:.0f} and {ours[1]['refined']:.0f}.",
    ]
    for batch in BATCHES:
        exact = [case for case in run["cases"] if case["batch"] == batch and case["system"].startswith("FAISS IndexFlat")]
        if exact:
            # By the ratios to one base, which are taken round by round.
            best = max(exact, key=lambda case: case["faster"])
            ratio = by_key[QUARRY, batch]["faster"] / best["faster"]
            lines.append(
                f"For {batch} quer{'ies' if batch > 1 else 'y'} the fastest exact FAISS is {best['system']}; "
                f"Quarry is {ratio:.2f} times as fast."
            )
    return lines


def report(results, rows, dim):
    lines = [f"# {rows:,} x {dim}, top-{K} by inner product", ""]
    for kind, runs in results.items():
        for run in runs:
            lines += [f"## {kind}, {run['threads']} thread{'s' if run['threads'] > 1 else ''}", ""]
            lines += table(run)
            if run["absent"]:
                lines.append(f"Absent: {', '.join(run['absent'])}.")
            if run["ties"] is not None:
                lines.append(
                    f"Quarry's ids are those of {BASE} for all {max(BATCHES)} queries"
                    + (f", but for {run['ties']} places where f32 cannot tell two scores apart." if run["ties"] else ".")
                )
            lines.append("")
    return "\n".join(lines)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("quarry", type=pathlib.Path, help="the quarry command of a release build")
    parser.add_argument("output", type=pathlib.Path, help="directory for the table and the plot")
    parser.add_argument("--rows", type=int, default=200_000, help="default 200000")
    parser.add_argument("--dim", type=int, default=384, help="default 384")
    parser.add_argument("--data", default="real,noise", help="real, noise or both (default)")
    parser.add_argument("--rounds", type=int, default=7, help="default 7")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/peers"),
                        help="directory for the virtual environment and the data; default build/peers")
    # The empty text is in every name.
    parser.add_argument("--only", default="", help="run only systems with one of these, separated by commas, in their names")
    parser.add_argument("--step", help=argparse.SUPPRESS)  # runs inside the virtual environment
    return parser.parse_args()


def main():
    options = arguments()
    quarry, work = options.quarry.resolve(), options.work.resolve()
    directory = work / f"{options.rows}x{options.dim}"

    if options.step:
        kind, _, threads = options.step.partition(":")
        if threads:
            worker(quarry, kind, directory, int(threads), options.rounds, options.only.split(","))
        else:
            make_data(kind, options.rows, options.dim, directory)
        return

    directory.mkdir(parents=True, exist_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)
    python = prepare(work / "venv")

    def step(name, threads=None):
        count = {} if threads is None else {
            variable: str(threads)
            for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        }
        command = [python, __file__, quarry, options.output, "--rows", options.rows, "--dim", options.dim]
        command += ["--rounds", options.rounds, "--only", options.only, "--work", work, "--step", name]
        done = subprocess.run(
            list(map(str, command)), stdout=subprocess.PIPE, env={**os.environ, **count}
        )
        if done.returncode != 0:
            sys.exit(f"peers.py: step {name} failed")
        return done.stdout

    results = {}
    for kind in options.data.split(","):
        store = directory / f"{kind}.store"
        if not store.exists():
            print(f"{kind}: data and store", file=sys.stderr)
            step(kind)
            # Under its name only once it is whole.
            part = directory / f"{kind}.part"
            shutil.rmtree(part, ignore_errors=True)
            vectors = directory / f"{kind}.npy"
            command = [quarry, "import", part, "vectors", vectors, "--create", "--metric", "dot", "--quiet"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            part.rename(store)
        results[kind] = []
        for threads in dict.fromkeys((1, len(os.sched_getaffinity(0)))):
            print(f"{kind}: {threads} threads", file=sys.stderr)
            results[kind].append(json.loads(step(f"{kind}:{threads}", threads)))

    (options.output / "benchmarks.json").write_text(json.dumps(results, indent=1) + "\n")
    text = report(results, options.rows, options.dim)
    (options.output / "benchmarks.md").write_text(text)
    from plot import plot

    (options.output / "benchmarks.svg").write_text(plot(results, f"{options.rows:,} x {options.dim}"))
    print(text)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    main()
