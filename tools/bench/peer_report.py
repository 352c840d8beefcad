"""Tables of what peer_timing.py measured, as Markdown."""
import statistics

from peer_systems import BASE, K

QUARRY = "Quarry"
# What nseekfs's README (repository diogonovo/nseekfs) states for one query at 384 dimensions, in ms, by rows.
NSEEKFS_STATES = {10_000: 0.4, 50_000: 0.7, 200_000: 0.9, 500_000: 1.1}


def ratio(case, other):
    """How many times as fast as `other`: round by round, so that what disturbed a whole round cancels out."""
    return statistics.median(b / a for a, b in zip(case["rounds"], other["rounds"]))


def plural(count, one, many):
    return f"{count} {one if count == 1 else many}"


def by_system(run, batch):
    return {case["system"]: case for case in run["cases"] if case["batch"] == batch}


def table(run):
    batches = list(dict.fromkeys(case["batch"] for case in run["cases"]))
    columns = [by_system(run, batch) for batch in batches]
    heads = ["system"]
    for batch in batches:
        heads += ["1 query, ms" if batch == 1 else f"{batch} queries, ms each", "x FAISS"]
    heads.append(f"recall@{K}")
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    for system in columns[0]:
        row = [f"**{system}**" if system == QUARRY else system]
        for cases in columns:
            row.append(f"{cases[system]['ms']:.3g}")
            row.append(f"{ratio(cases[system], cases[BASE]):.2f}" if BASE in cases else "")
        row.append(f"{columns[0][system]['recall']:.4f}")
        lines.append("| " + " | ".join(row) + " |")
    lines.append("")
    for batch, cases in zip(batches, columns):
        lines += remarks(batch, cases)
    return lines


def remarks(batch, cases):
    ours = cases[QUARRY]
    queries = plural(batch, "query", "queries")
    lines = [
        f"For {queries} Quarry read at {ours['bandwidth_share']:.2f} of the memory bandwidth and refined "
        f"{ours['refined']:.0f} rows for each."
    ]
    others = {"exact FAISS": "FAISS IndexFlat", "nseekfs": "nseekfs"}
    for name, beginning in others.items():
        found = [case for case in cases.values() if case["system"].startswith(beginning)]
        if found:
            best = min(found, key=lambda case: ratio(ours, case))
            lines.append(
                f"For {queries} the fastest {name} is {best['system']}; "
                f"Quarry is {ratio(ours, best):.2f} times as fast."
            )
    return lines


def notes(run):
    """What the table does not show: systems that are absent, and how the answers agree."""
    lines = [f"Absent: {name} ({reason})." for name, reason in run["absent"].items()]
    if run["ties"] is not None:
        but = f", but for {run['ties']} places where f32 cannot tell two scores apart" if run["ties"] else ""
        lines.append(f"Quarry's ids are those of {BASE} for all queries{but}.")
    inexact = sorted({case["system"] for case in run["cases"] if case["recall"] < 0.99995})
    if inexact:
        lines.append(f"Not exact: {', '.join(inexact)}.")
    return lines


def version_line(runs):
    versions = runs[0]["versions"]
    return "Versions: " + ", ".join(f"{package} {version}" for package, version in versions.items()) + "."


def title_of(run):
    title = plural(run["threads"], "thread", "threads")
    return f"{title} on {plural(run['cores'], 'core', 'cores')}" if "cores" in run else title


def report(results, rows, dim):
    """`results` maps a kind of data to runs, each of one number of threads."""
    lines = [f"# {rows:,} x {dim}, top-{K} by inner product", ""]
    for kind, runs in results.items():
        for run in runs:
            lines += [f"## {kind}, {title_of(run)}", "", *table(run), *notes(run), ""]
    lines.append(version_line(next(iter(results.values()))))
    return "\n".join(lines) + "\n"


def sizes_report(results, kind, dim):
    """`results` maps a number of rows to runs of one query at a time, each of one number of threads."""
    lines = [f"# {kind}, {dim} dimensions, top-{K} by inner product, one query at a time, median in ms", ""]
    first = next(iter(results.values()))
    for number, run in enumerate(first):
        runs = {rows: all_runs[number] for rows, all_runs in results.items()}
        lines += [f"## {title_of(run)}", "", *sizes_table(runs), *notes(run), ""]
    lines.append(version_line(first))
    return "\n".join(lines) + "\n"


def sizes_table(runs):
    systems = list(by_system(next(iter(runs.values())), 1))
    nseekfs = [system for system in systems if system.startswith("nseekfs")]
    heads = ["rows", *(f"**{system}**" if system == QUARRY else system for system in systems)]
    if nseekfs:
        heads += ["nseekfs's README", "Quarry x fastest nseekfs", "Quarry x nseekfs's README"]
    heads.append(f"lowest recall@{K}")
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    for rows, run in runs.items():
        cases = by_system(run, 1)
        ours = cases[QUARRY]
        row = [f"{rows:,}", *(f"{cases[system]['ms']:.3g}" if system in cases else "" for system in systems)]
        if nseekfs:
            stated = NSEEKFS_STATES.get(rows)
            found = [ratio(ours, cases[system]) for system in nseekfs if system in cases]
            row += [
                f"{stated}" if stated else "",
                f"{min(found):.2f}" if found else "",
                f"{stated / ours['ms']:.2f}" if stated else "",
            ]
        worst = min(cases.values(), key=lambda case: case["recall"])
        row.append("1.0000" if worst["recall"] > 0.99995 else f"{worst['recall']:.4f} ({worst['system']})")
        lines.append("| " + " | ".join(row) + " |")
    lines.append("")
    return lines
