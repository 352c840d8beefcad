"""The part of peers.py that runs inside its virtual environment.

    peer_timing.py JOB

JOB is a JSON object. {"kind", "rows", "dim", "directory"} makes data: KIND.npy, KIND.queries.npy (256 queries) and
KIND.query.npy (the first of them). With "threads" as well, it times all systems and prints one JSON object; then the
job also has "quarry", "rounds", "batches", "only" and "skip". The environment must have set the numbers of threads of
libraries that read them there.
"""
import importlib.metadata
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from peer_systems import BASE, K, NOT_PACKAGED, PACKAGES, SYSTEMS

QUARRY = "Quarry"
QUERIES = 256
# Of a batch, for systems that search for one after another: more would take long and tell nothing new.
LOOPED_QUERIES = 16


def generate(kind, rows, dim, seed):
    """[rows, dim] f32 at unit length, and queries of the same distribution."""
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

    return draw(rows), draw(QUERIES)


def make_data(kind, rows, dim, directory):
    data, queries = generate(kind, rows, dim, seed=20240607)
    np.save(directory / f"{kind}.npy", data)
    np.save(directory / f"{kind}.queries.npy", queries)
    np.save(directory / f"{kind}.query.npy", queries[:1])


def quarry_json(quarry, command, store, queries, *options):
    done = subprocess.run(
        [quarry, command, store, "vectors", "--queries", queries, "-k", str(K), "--json", "--quiet", *options],
        check=True,
        stdout=subprocess.PIPE,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_same(data, queries, ids, truth):
    """Quarry orders by exact scores: ids may differ from FAISS's only among scores that f32 cannot tell apart."""
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


def wanted(name, only, skip):
    """The base is always there: answers are compared with its own."""
    return name == BASE or (any(text in name for text in only) and not any(text in name for text in skip))


def make_systems(data, queries, threads, scratch, only, skip):
    """The systems that work here as name -> run, their answers, and for the others why not."""
    systems, answers = {}, {}
    absent = {name: reason for name, reason in NOT_PACKAGED.items() if wanted(name, only, skip)}
    for name, system in SYSTEMS.items():
        if not wanted(name, only, skip):
            continue
        try:
            run = system.make(data, threads, scratch)
            answers[name] = run(queries)  # warms up, too
            systems[name] = run
        except Exception as error:  # whatever another project does wrong must not end the comparison
            absent[name] = f"{type(error).__name__}: {error}"
    return systems, answers, absent


def time_call(run, queries, batch):
    """Seconds for each query: the median of as many calls as fit half a second, which is how `quarry bench` times, too.
    The calls take their queries in turn."""
    calls, began = [], time.perf_counter()
    while not calls or (time.perf_counter() - began < 0.5 and len(calls) < 2000):
        first = len(calls) * batch % len(queries)
        part = queries[first : first + batch]
        start = time.perf_counter()
        run(part)
        calls.append(time.perf_counter() - start)
    return statistics.median(calls) / batch


def time_batch(systems, queries, batch, rounds, bench):
    """Milliseconds for each query, by system and round, and the lines of `quarry bench`."""
    times = {name: [] for name in [QUARRY, *systems]}
    lines = []
    for number in range(rounds):
        # Another one goes first in each round.
        names = list(times)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if name == QUARRY:
                lines += bench(batch)
                times[name].append(lines[-1]["p50_ms"] / batch)
            else:
                size = batch if SYSTEMS[name].batched else min(batch, LOOPED_QUERIES)
                times[name].append(1e3 * time_call(systems[name], queries, size))
    return times, lines


def compare(quarry, kind, directory, threads, rounds, batches, only, skip, scratch):
    """Answers and times of all systems with this many threads, as peer_report.py reads them."""
    data = np.load(directory / f"{kind}.npy")
    queries = np.load(directory / f"{kind}.queries.npy")
    store, query_file = directory / f"{kind}.store", directory / f"{kind}.queries.npy"
    systems, answers, absent = make_systems(data, queries, threads, scratch, only, skip)

    found = quarry_json(quarry, "search", store, query_file)
    ours = np.array([[hit["id"] for hit in line["hits"]] for line in found])
    truth = answers.get(BASE, ours)  # without FAISS, Quarry's: exact by itself
    ties = check_same(data, queries, ours, truth) if BASE in answers else None
    answers[QUARRY] = ours
    recall = {
        name: float(np.mean([len(set(map(int, a)) & set(map(int, b))) / K for a, b in zip(ids, truth)]))
        for name, ids in answers.items()
    }

    def bench(batch):
        options = ("--batch", str(batch), "--threads", str(threads))
        return quarry_json(quarry, "bench", store, query_file, *options)

    cases = []
    for batch in batches:
        times, lines = time_batch(systems, queries, batch, rounds, bench)
        for name, values in times.items():
            case = {"system": name, "batch": batch, "ms": statistics.median(values), "rounds": values}
            case["recall"] = recall[name]
            if name == QUARRY:
                case["bandwidth_share"] = statistics.median(line["bandwidth_share"] for line in lines)
                case["refined"] = statistics.median(line["rows_refined_per_query"] for line in lines)
            cases.append(case)
    return {"threads": threads, "absent": absent, "ties": ties, "versions": versions(), "cases": cases}


def versions():
    """Of the packages that are installed."""
    found = {}
    for package, _ in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def main():
    job = json.loads(sys.argv[1])
    directory = pathlib.Path(job.pop("directory"))
    rows, dim = job.pop("rows"), job.pop("dim")
    if "threads" not in job:
        make_data(job["kind"], rows, dim, directory)
        return
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        result = compare(directory=directory, scratch=pathlib.Path(scratch), **job)
        print(json.dumps(result))


if __name__ == "__main__":
    main()
