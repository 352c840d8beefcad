"""What the cases of acceptance.py share: running the command, reading truths, comparing answers."""
import array
import json
import os
import pathlib
import struct
import subprocess

TIE = 1e-12  # truth scores closer than this count as equal
QUARRY = ""  # the binary, set by main
DATA = pathlib.Path()  # the shared test data, set by main
ISAS = ("baseline", "avx2", "avx512")  # values of QUARRY_ISA
searched = {}  # instruction set -> number of commands that search() ran on it


def fail(message):
    raise AssertionError(message)


def quarry(*arguments, env=None, expect=0, threads=None):
    """Runs a command with --json; returns its lines as objects."""
    command = [QUARRY, *map(str, arguments), "--json"]
    if threads:
        command += ["--threads", str(threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(env or {})})
    if done.returncode != expect:
        fail(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.decode()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def raw(*arguments, env=None):
    """The bytes that a command prints."""
    return subprocess.run([QUARRY, *map(str, arguments), "--json"], check=True, stdout=subprocess.PIPE,
                          env={**os.environ, **(env or {})}).stdout


def run_on(isa, *arguments):
    """The bytes that a command prints on one instruction set; None where this CPU lacks it."""
    done = subprocess.run([QUARRY, *map(str, arguments), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, "QUARRY_ISA": isa})
    if done.returncode != 0 and b"QUARRY_ISA: this machine runs" in done.stderr:
        return None
    if done.returncode != 0:
        fail(f"{' '.join(map(str, arguments))} on {isa}: exit {done.returncode}: {done.stderr.decode()}")
    return done.stdout


def search(store, coll, *arguments):
    """The answers of a search by the default kernels; byte-identical on every instruction set of this CPU."""
    command = ("search", store, coll, *arguments)
    answer = raw(*command)
    for isa in ISAS:
        again = run_on(isa, *command)
        if again is None:
            continue
        if again != answer:
            fail(f"{' '.join(map(str, command))}: the answer on {isa} differs")
        searched[isa] = searched.get(isa, 0) + 1
    return [json.loads(line) for line in answer.splitlines()]


def ivecs(path):
    """[n, k] integers of an ivecs file."""
    numbers = array.array("i")
    numbers.frombytes(path.read_bytes())
    width = numbers[0] + 1
    return [list(numbers[i + 1:i + width]) for i in range(0, len(numbers), width)]


def f64s(path, width):
    numbers = array.array("d")
    numbers.frombytes(path.read_bytes())
    return [list(numbers[i:i + width]) for i in range(0, len(numbers), width)]


def jsonl(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def check_exact(lines, truth, scores, id_of, squared=False):
    """Each answer is the truth in order; within a tie the order is by id."""
    if len(lines) != len(truth):
        fail(f"{len(lines)} answers for {len(truth)} queries")
    exact = 0
    for number, (line, rows, values) in enumerate(zip(lines, truth, scores)):
        hits = line["hits"]
        if len(hits) != len(rows):
            fail(f"query {number}: {len(hits)} hits, expected {len(rows)}")
        got = [hit["id"] for hit in hits]
        want = [id_of(row) for row in rows]
        exact += got == want
        start = 0
        while start < len(rows):
            end = start + 1
            while end < len(rows) and abs(values[end] - values[end - 1]) < TIE:
                end += 1
            group = got[start:end]
            if end < len(rows) and set(group) != set(want[start:end]):
                fail(f"query {number}, ranks {start}..{end - 1}: got {group}, expected {want[start:end]}")
            for hit in hits[start:end]:  # the last group may go on behind the truth
                value = hit["score"] ** 2 if squared else hit["score"]
                if abs(value - values[start]) > 1e-9 * max(1, abs(values[start])):
                    fail(f"query {number}: score {value}, expected {values[start]}")
            if len({hit["score"] for hit in hits[start:end]}) == 1 and group != sorted(group):
                fail(f"query {number}: a tie is not in order of id: {group}")
            start = end
    return exact


def recall(lines, truth, id_of, k=10):
    found = sum(len({h["id"] for h in line["hits"][:k]} & {id_of(r) for r in rows[:k]})
                for line, rows in zip(lines, truth))
    return found / (k * len(truth))


def fvecs(path, rows):
    """Writes [n, dim] numbers, each an f32, as an fvecs file; returns its path."""
    path.write_bytes(b"".join(struct.pack(f"<i{len(row)}f", len(row), *row) for row in rows))
    return path


def npy_data(path):
    """The bytes of the elements of an npy in C order."""
    blob = path.read_bytes()
    start = 10 + struct.unpack("<H", blob[8:10])[0]
    return blob[start:]


def check_repeatable(store, coll, queries, one_by_one, what, extra=()):
    """The same bytes for each instruction set, thread count and batching."""
    command = ("search", store, coll, "--queries", queries, "-k", 100, *extra)
    reference = raw(*command)
    variants = 0
    for isa in ISAS:
        for threads in (1, 2, 4):
            answer = run_on(isa, *command, "--threads", threads)
            if answer is None:
                print(f"{what}: {isa} is not on this CPU")
                break
            if answer != reference:
                fail(f"{what}: {isa} with {threads} threads differs")
            variants += 1
    whole = [json.loads(line)["hits"] for line in reference.splitlines()]
    for number, vector in enumerate(one_by_one):
        alone = json.loads(raw("search", store, coll, "--vector", json.dumps(vector), "-k", 100, *extra))["hits"]
        if alone != whole[number]:
            fail(f"{what}: query {number} alone differs")
    print(f"{what}: {variants} runs (instruction sets x threads) byte-identical, "
          f"{len(one_by_one)} queries alone as in the batch")
