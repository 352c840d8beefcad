"""Filtered truths: the filter is evaluated here, and the search restricted to the ids that match."""
import operator

from support import check_exact, fail, fvecs, search

COMPARISONS = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "in": lambda value, choices: value in choices,
}


def matches(record, tree):
    """Whether metadata passes {field, op, value}, {and: []}, {or: []} or {not:}. Absent fields pass no comparison."""
    if "and" in tree:
        return all(matches(record, part) for part in tree["and"])
    if "or" in tree:
        return any(matches(record, part) for part in tree["or"])
    if "not" in tree:
        return not matches(record, tree["not"])
    return tree["field"] in record and COMPARISONS[tree["op"]](record[tree["field"]], tree["value"])


def check_filtered(store, coll, records, truths, query_of, work):
    """Searches by cosine, all queries of a filter at once; returns the numbers of queries and of filters.
    `records` are in order of rows; query_of(truth) is a vector."""
    by_filter = {}
    for truth in truths:
        by_filter.setdefault(str(truth["filter"]), []).append(truth)
    for number, group in enumerate(by_filter.values()):
        rows = [row for row, record in enumerate(records) if matches(record, group[0]["filter"])]
        if len(rows) != group[0]["matching"]:
            fail(f"{group[0]['filter']}: {len(rows)} records match, expected {group[0]['matching']}")
        ids = work / f"ids-{number}.txt"
        ids.write_text("".join(f"{records[row]['id']}\n" for row in rows))
        queries = fvecs(work / f"queries-{number}.fvecs", map(query_of, group))
        lines = search(store, coll, "--queries", queries, "--ids", ids, "-k", group[0]["k"], "--metric", "cosine")
        check_exact(lines, [truth["rows"] for truth in group], [truth["cos"] for truth in group],
                    lambda row: records[row]["id"])
    return len(truths), len(by_filter)
