// What the harnesses of tests/sim do not do to a store: a scenario for each.

#pragma once

#include "tests/sim/report.h"

namespace quarry::sim {

// Two writers insert the same id in one group: one of them is acknowledged.
Report Groups(const HarnessOptions& options);

// The catalog is that of an earlier moment: the store is not opened.
Report OldCatalogs(const HarnessOptions& options);

// Power fails, or the process ends, at each call that makes a store, adds a record to it,
// closes and opens it, and drops the collection.
Report EachCall(const HarnessOptions& options);

// Power fails, or the process ends, while a store is made, and again while it is made or
// opened once more: what is written to it then survives a power cut.
Report TwoEnds(const HarnessOptions& options);

// Each call of the first write to a collection fails, the process ends, and another opens
// the store.
Report UnknownFiles(const HarnessOptions& options);

// A write is refused after a part of it is in the files, another takes its place, and
// power fails: searches with a sketch find what is there.
Report RefusedRows(const HarnessOptions& options);

// Power fails behind a commit without sync, which came behind one with sync, which came
// behind one without: what was synced is there.
Report TornBehindDurable(const HarnessOptions& options);

// The system writes less than it is asked to, on a real file. The limit on the size of
// files stays behind: for a process that ends soon.
Report ShortWrites(const HarnessOptions& options);

}  // namespace quarry::sim
