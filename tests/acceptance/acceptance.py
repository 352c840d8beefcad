#!/usr/bin/env python3
"""Runs the quarry command on real data and compares its answers with exact ones.

    acceptance.py QUARRY DATA CASE

QUARRY is the binary, DATA the directory of the shared test data, CASE one of CASES below. Prints one line of
figures for each check. Searches whose truth is known run on every instruction set of this CPU, and must print the same
bytes on each. Exits 0 when all hold, 1 when one fails, 77 when DATA is absent.
"""
import hashlib
import json
import lzma
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time

import support
from filters import check_filtered
from support import check_exact, check_repeatable, f64s, fail, fvecs, ivecs, jsonl, npy_data, quarry, recall, search


def beirq768(work):
    data = support.DATA / "beirq768"
    ids = [record["id"] for record in jsonl(data / "meta.jsonl")]
    by_row = ids.__getitem__
    store = work / "store"
    truth = {"cosine": "gt_cos100", "l2": "gt_l2_100"}
    for level in ("f32", "f16", "f8", "i8"):
        quarry("create", store, level, "--dim", 768, "--level", level, "--id-type", "string")
        done = quarry("import", store, level, data / "base.f32.npy", "--metadata", data / "meta.jsonl")[0]
        if done["written"] != 10000 or done["skipped"] != 0:
            fail(f"import: {done}")
        for metric, name in truth.items():
            lines = search(store, level, "--queries", data / "query.f32.npy", "-k", 100, "--metric", metric)
            rows = ivecs(data / f"{name}.ivecs")
            figure = recall(lines, rows, by_row)
            if level == "f32":
                exact = check_exact(lines, rows, f64s(data / f"{name}.f64", 100), by_row, metric == "l2")
                print(f"beirq768 f32 {metric}: 748 queries equal, {exact} without a tie to resolve")
            elif metric == "cosine":
                bar = {"f16": 0.999, "f8": 0.975, "i8": 0.985}[level]
                print(f"beirq768 {level} cosine: recall@10 {figure:.4f} (at least {bar})")
                if figure < bar:
                    fail("recall too low")
    metadata = quarry("get", store, "f32", ids[17], "--with", "metadata")[0]["metadata"]
    want = jsonl(data / "meta.jsonl")[17]
    want.pop("id")
    if metadata != want:
        fail(f"metadata of {ids[17]}: {metadata}, expected {want}")
    queries = npy_data(data / "query.f32.npy")
    cases, filters = check_filtered(store, "f32", jsonl(data / "meta.jsonl"), jsonl(data / "filtered_gt.jsonl"),
                                    lambda truth: struct.unpack_from("<768f", queries, truth["query"] * 3072), work)
    print(f"beirq768 f32 cosine restricted to ids: {cases} queries of {filters} filters equal")
    (work / "v2.jsonl").write_text("".join(json.dumps({"id": r["id"]}) + "\n" for r in jsonl(data / "v2_ids.jsonl")))
    done = quarry("import", store, "f32", data / "v2.f32.npy", "--metadata", work / "v2.jsonl")[0]
    if done["replaced"] != 2853:
        fail(f"upsert of v2: {done}")
    lines = search(store, "f32", "--queries", data / "query.f32.npy", "-k", 100)
    exact = check_exact(lines, ivecs(data / "gt_cos100_after_v2.ivecs"), f64s(data / "gt_cos100_after_v2.f64", 100),
                        by_row)
    print(f"beirq768 f32 cosine after upserting 2853: 748 queries equal, {exact} without a tie to resolve")


def state_hash(store, coll, ids):
    lines = []
    page = 500
    for start in range(0, len(ids), page):
        for record in quarry("get", store, coll, *ids[start:start + page], "--with", "vector"):
            digest = hashlib.sha256(struct.pack("<384f", *record["vector"])).hexdigest()
            lines.append((record["id"].encode(), digest))
    lines.sort()
    return hashlib.sha256(b"\n".join(i + b"\t" + d.encode() for i, d in lines)).hexdigest()


def oplog384(work):
    """Each checkpoint is reached by a process of its own: the store is reopened between all of them."""
    replay_oplog384(work, [])


def oplog384_compacted(work):
    """The same with a compaction after every batch of operations: one that gives back all space, and the usual one."""
    for share in ("0", "0.2"):
        variant = work / share
        variant.mkdir()
        replay_oplog384(variant, ["--min-dead", share], batch=1000)


def replay_oplog384(work, compaction, batch=20000):
    """`compaction`: arguments of a compact after every `batch` operations, and before each checkpoint; empty: none."""
    data = support.DATA / "oplog384"
    store = work / "store"
    quarry("create", store, "c", "--dim", 384, "--id-type", "string")
    events = (data / "events.jsonl").read_text().splitlines()
    vectors = npy_data(data / "vectors.f32.npy")
    queries = struct.unpack("<100i", npy_data(data / "gt_query_vecs.npy"))
    (work / "queries.fvecs").write_bytes(b"".join(
        struct.pack("<i", 384) + vectors[row * 1536:(row + 1) * 1536] for row in queries))
    live, start, ties, copied = set(), 0, 0, 0
    for number, checkpoint in enumerate(jsonl(data / "gt_checkpoints.jsonl")):
        end = checkpoint["after_event"] + 1
        for first in range(start, end, batch):
            last = min(first + batch, end)
            (work / "ops.jsonl").write_text("\n".join(events[first:last]) + "\n")
            done = quarry("apply", store, "c", work / "ops.jsonl", "--vectors", data / "vectors.f32.npy",
                          "--batch", 137)[0]
            if done["applied"] != last - first:
                fail(f"checkpoint {number}: {done}")
            if compaction:
                copied += quarry("compact", store, *compaction)[0]["rows"]
        for line in events[start:end]:
            event = json.loads(line)
            (live.add if event["op"] == "upsert" else live.discard)(event["id"])
        start = end
        if quarry("count", store, "c")[0]["count"] != checkpoint["live"]:
            fail(f"checkpoint {number}: live count differs")
        if state_hash(store, "c", sorted(live)) != checkpoint["state_sha256"]:
            fail(f"checkpoint {number}: state hash differs")
        lines = search(store, "c", "--queries", work / "queries.fvecs", "-k", 10)
        for line, want in zip(lines, checkpoint["top10"]):
            got = [[h["id"], h["score"]] for h in line["hits"]]
            if [g[0] for g in got] != [w[0] for w in want]:
                # The truth is printed to 8 digits: it orders what is closer only by luck.
                for g, w in zip(got, want):
                    if g[0] != w[0] and abs(g[1] - w[1]) > 5e-9:
                        fail(f"checkpoint {number}: got {got}, expected {want}")
                ties += 1
            if any(abs(g[1] - w[1]) > 6e-9 for g, w in zip(got, want)) or len(got) != len(want):
                fail(f"checkpoint {number}: got {got}, expected {want}")
        if compaction == ["--min-dead", "0"] and quarry("info", store, "c")[0]["rows_dead"] != 0:
            fail(f"checkpoint {number}: dead rows are left after a compaction of all")
    if compaction and copied == 0:
        fail("no compaction copied a row")
    print(f"oplog384: 15 checkpoints equal (count, state hash, top 10), {start} events, {ties} answers with "
          f"scores equal to 8 digits in another order, {copied} rows copied by compactions")


def products128(work):
    """Queries are rows of the base, and find themselves. The vectors are f16: stored as f16 or as f32, with a sketch or
    without, the answers are the same."""
    data = support.DATA / "products128"
    records = jsonl(data / "meta.jsonl")
    codes = npy_data(data / "base.f16.npy")

    def vector(row):
        return struct.unpack_from("<128e", codes, row * 256)

    chosen = npy_data(data / "gt_query_rows.npy")
    queries = fvecs(work / "queries.fvecs", map(vector, struct.unpack(f"<{len(chosen) // 4}i", chosen)))
    rows, scores = ivecs(data / "gt_cos100_selfrows.ivecs"), f64s(data / "gt_cos100_selfrows.f64", 100)
    store = work / "store"
    for coll, level, sketch in (("f16", "f16", "auto"), ("f32", "f32", "auto"), ("plain", "f32", "none")):
        quarry("create", store, coll, "--dim", 128, "--level", level, "--sketch", sketch, "--zero-vectors", "allow")
        quarry("import", store, coll, data / "base.f16.npy", "--metadata", data / "meta.jsonl")
        lines = search(store, coll, "--queries", queries, "-k", 100)
        exact = check_exact(lines, rows, scores, lambda row: records[row]["id"])
        print(f"products128 {level}, sketch {sketch}, cosine: {len(lines)} queries equal, "
              f"{exact} without a tie to resolve")
    cases, filters = check_filtered(store, "f16", records, jsonl(data / "filtered_gt.jsonl"),
                                    lambda truth: vector(truth["query_row"]), work)
    print(f"products128 f16 cosine restricted to ids: {cases} queries of {filters} filters equal")


def opensearch(work):
    """Another engine's test set, with its own answers: ids of all 1,000 vectors in order of distance."""
    data = support.DATA / "format_suites" / "opensearch_knn"
    base = work / "base.jsonl"
    base.write_bytes(lzma.decompress((data / "test_vectors_1000x128.json.xz").read_bytes()))
    truth = lzma.decompress((data / "test_ground_truth_l2_100.csv.xz").read_bytes()).decode().splitlines()
    rows = (data / "test_queries_100x128.csv").read_text().splitlines()
    queries = fvecs(work / "queries.fvecs", [list(map(float, row.split(","))) for row in rows])
    store = work / "store"
    quarry("create", store, "c", "--dim", 128, "--metric", "l2")
    quarry("import", store, "c", base)
    lines = search(store, "c", "--queries", queries, "-k", 1000)
    if len(lines) != len(truth):
        fail(f"{len(lines)} answers for {len(truth)} queries")
    swapped = 0
    for number, (line, want) in enumerate(zip(lines, truth)):
        want = list(map(int, want.split(",")))
        distance = {hit["id"]: hit["score"] for hit in line["hits"]}
        if distance.keys() != set(want):
            fail(f"query {number}: ids differ")
        for hit, other in zip(line["hits"], want):
            if hit["id"] == other:
                continue
            if abs(hit["score"] - distance[other]) > 1e-6 * hit["score"]:
                fail(f"query {number}: got {hit}, expected {other} at distance {distance[other]}")
            swapped += 1
    print(f"opensearch f32 l2: {len(lines)} queries equal, all 1,000 ranks, but for {swapped} of distances that the "
          "truth, computed in f32, cannot tell apart")


def sift5k(work):
    data = support.DATA / "sift5k"
    store = work / "store"
    queries = data / "orig_siftsmall_query.fvecs"
    quarry("create", store, "c", "--dim", 128, "--metric", "l2")
    quarry("import", store, "c", data / "base.bvecs")
    blob = queries.read_bytes()
    vectors = [struct.unpack("<128f", blob[i + 4:i + 516]) for i in range(0, len(blob), 516)]
    for metric, name in (("l2", "gt_l2_100"), ("cosine", "gt_cos100")):
        lines = quarry("search", store, "c", "--queries", queries, "-k", 100, "--metric", metric)
        exact = check_exact(lines, ivecs(data / f"{name}.ivecs"), f64s(data / f"{name}.f64", 100), lambda r: r,
                            metric == "l2")
        print(f"sift5k f32 {metric}: {len(lines)} queries equal, {exact} without a tie to resolve")
        check_repeatable(store, "c", queries, vectors, f"sift5k {metric}", ("--metric", metric))


def mnist_base(work):
    path = work / "base.npy"
    if not path.exists():
        path.write_bytes(lzma.decompress((support.DATA / "mnist60k" / "base.u8.npy.xz").read_bytes()))
    return path


def mnist60k(work):
    data = support.DATA / "mnist60k"
    store = work / "store"
    quarry("create", store, "c", "--dim", 784, "--metric", "l2")
    quarry("import", store, "c", mnist_base(work))
    lines = quarry("search", store, "c", "--queries", data / "query.u8.npy", "-k", 100)
    exact = check_exact(lines, ivecs(data / "gt_l2_100.ivecs"), f64s(data / "gt_l2_100.f64", 100), lambda r: r, True)
    print(f"mnist60k f32 l2: {len(lines)} queries equal, {exact} without a tie to resolve")
    pixels = npy_data(data / "query.u8.npy")
    few = [list(pixels[i * 784:(i + 1) * 784]) for i in range(20)]
    check_repeatable(store, "c", data / "query.u8.npy", few, "mnist60k l2")


def kill(work):
    """kill -9 in the middle of imports: every acknowledged batch is there, nothing else."""
    base = mnist_base(work)
    pixels = npy_data(base)
    rng = random.Random(int(os.environ.get("QUARRY_SEED", "1")))
    batch, rounds, mid = 500, 5, 0
    for number in range(rounds):
        store = work / f"killed-{number}"
        quarry("create", store, "c", "--dim", 784, "--metric", "l2")
        process = subprocess.Popen([support.QUARRY, "import", store, "c", base, "--batch", str(batch), "--json"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.1, 0.8))
        process.send_signal(signal.SIGKILL)
        process.wait()
        count = quarry("count", store, "c")[0]["count"]
        if count % batch != 0 or count > 60000:
            fail(f"round {number}: {count} records, not whole batches of {batch}")
        mid += 0 < count < 60000
        rows = rng.sample(range(count), min(count, 200)) + ([count - 1] if count else [])
        for record in quarry("get", store, "c", *rows, "--with", "vector") if rows else []:
            row = record["id"]
            if record["vector"] != list(map(float, pixels[row * 784:(row + 1) * 784])):
                fail(f"round {number}: record {row} differs")
        quarry("get", store, "c", count, expect=1)
        done = quarry("import", store, "c", base)[0]  # goes on: ids are those of the rows behind
        if quarry("count", store, "c")[0]["count"] != count + 60000:
            fail(f"round {number}: the import after the kill is not whole: {done}")
    if mid == 0:
        fail("no round was killed in the middle")
    print(f"kill -9: {rounds} imports killed, {mid} of them in the middle, whole batches only, all records equal")


def million(work):
    rows, dim = 1_000_000, 128
    source = work / "vectors.u8bin"
    rng = random.Random(7)
    with open(source, "wb") as out:
        out.write(struct.pack("<II", rows, dim))
        for _ in range(100):
            out.write(rng.randbytes(rows * dim // 100))
    store = work / "store"
    quarry("create", store, "c", "--dim", dim, "--metric", "l2")
    start = time.monotonic()
    done = quarry("import", store, "c", source)[0]
    seconds = time.monotonic() - start
    if done["written"] != rows:
        fail(f"import: {done}")
    start = time.monotonic()
    if quarry("count", store, "c")[0]["count"] != rows:
        fail("count differs")
    reopen = time.monotonic() - start
    with open(source, "rb") as data:
        for row in (0, 123_456, rows - 1):
            data.seek(8 + row * dim)
            vector = list(data.read(dim))
            hits = search(store, "c", "--vector", json.dumps(vector), "-k", 3)[0]["hits"]
            if hits[0] != {"id": row, "score": 0.0}:
                fail(f"row {row} does not find itself: {hits}")
    print(f"1,000,000 x {dim}: imported in {seconds:.1f} s ({rows / seconds:,.0f} rows/s), each probe finds itself, "
          f"process start, open, count and close in {reopen:.3f} s")


CASES = {case.__name__: case for case in (
    beirq768, oplog384, oplog384_compacted, products128, opensearch, sift5k, mnist60k, kill, million)}


def main():
    if len(sys.argv) != 4 or sys.argv[3] not in CASES:
        sys.exit(__doc__ + "CASES: " + " ".join(CASES))
    support.QUARRY, support.DATA = sys.argv[1], pathlib.Path(sys.argv[2])
    if sys.argv[3] != "million" and not support.DATA.is_dir():
        print(f"skipped: no shared data at {support.DATA}")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as work:
        try:
            CASES[sys.argv[3]](pathlib.Path(work))
        except AssertionError as failure:
            print(f"FAILED: {failure}")
            sys.exit(1)
    if support.searched:
        counts = ", ".join(f"{isa} {count}" for isa, count in support.searched.items())
        print(f"{sys.argv[3]}: searches repeated byte for byte on instruction sets: {counts}")


if __name__ == "__main__":
    main()
