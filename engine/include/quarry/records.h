// What goes into a collection and what comes out of it.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "quarry/status.h"
#include "quarry/types.h"

namespace quarry {

class Snapshot;

// Records to write, borrowed until the write returns. Either all of them have a
// vector or none has; a batch may hold several.
struct Records {
  // [n], no duplicates. Empty in a u64 collection: the store assigns numbers,
  // each one larger than every id the collection ever had, from 0.
  std::span<const Id> ids = {};
  // [n, dim], finite; or empty (data == nullptr): records without vectors, found
  // by get, count and scroll but never by search.
  VectorView vectors = {};
  // [n] JSON objects, "" standing for none; or empty: no record has metadata.
  std::span<const std::string_view> metadata = {};
  // [n] when each record expires, in milliseconds since 1970 (UTC), at least 0; or
  // empty. 0: never, as if empty. A record is there before that time, and from then on
  // (clock >= expiry) it counts as deleted: no read finds it, whatever snapshot it reads,
  // and its id can be inserted anew. A time in the past is taken; the record is not there
  // from the beginning.
  std::span<const std::int64_t> expires_at_unix_ms = {};
};

struct WriteOptions {
  // True: the write survives power loss once the call returns. False: it
  // survives a crash of this process, and power loss after OpenOptions::sync_delay,
  // or the next write with sync, Store::Sync or Close; when power fails before, the
  // store holds a consistent prefix of the commits, and this write may not be in it.
  // Should that later sync fail, the store is read-only, as the next call says.
  bool sync = true;
};

// What one atomic write did.
struct WriteResult {
  std::uint64_t sequence = 0;  // number of the commit; unchanged when nothing was written
  std::uint64_t inserted = 0;  // records whose id was new, or whose record had expired
  std::uint64_t replaced = 0;  // records whose id was there
  std::uint64_t updated = 0;   // records whose metadata or expiry was replaced
  std::uint64_t deleted = 0;   // ids that were there and are gone
  std::vector<std::uint64_t> assigned_ids = {};  // in order of the records without ids
};

// One stored record, owned by the caller.
struct Record {
  Id id = {};
  std::uint64_t row = 0;                          // grows with the order of writing
  bool has_vector = false;                        // the record has one, asked for or not
  std::int64_t expires_at_unix_ms = 0;            // as in Records; 0: never
  std::optional<std::string> metadata = {};       // a JSON object, keys sorted; set if asked for
                                                  // and present
  std::optional<std::vector<float>> vector = {};  // [dim] as decoded from its level; set if asked
                                                  // for and present
};

struct Hit {
  Id id = {};
  double score = 0;  // cosine or dot, or the Euclidean distance: the canonical score
  std::optional<std::string> metadata = {};       // as in Record
  std::optional<std::vector<float>> vector = {};  // as in Record
};

// What to return beside id and score.
struct With {
  bool metadata = false;
  bool vector = false;
};

struct ReadOptions {
  With with = {};
  // Read the state that this snapshot holds; null: the newest committed state.
  std::shared_ptr<const Snapshot> snapshot = {};
};

struct ScrollOptions {
  enum class Order { kId, kRow };
  Order order = Order::kId;
  std::size_t limit = 1000;  // records per page, >= 1
  // Continue behind this record: the `next` of the page before.
  std::optional<Id> after_id = {};              // with kId
  std::optional<std::uint64_t> after_row = {};  // with kRow
  With with = {};
  std::shared_ptr<const Snapshot> snapshot = {};  // as in ReadOptions
};

struct SketchOptions {
  // Asked now and then; false: the call ends with kCancelled. Null: always true. Must
  // not throw.
  std::function<bool()> go_on = nullptr;
  // Called on the calling thread after each sketch with how many were made; must not
  // throw.
  std::function<void(std::uint64_t made)> progress = nullptr;
};

// What a search did, for all its queries together.
struct SearchStats {
  std::uint64_t sketched = 0;  // rows compared by their sketches
  std::uint64_t scored = 0;    // rows compared in the base plane without a look at a sketch
  std::uint64_t refined = 0;   // rows scored from the base plane after it
  std::uint64_t bytes = 0;     // read of planes; queries of one call share reads
  // Planes of which at least one row was read, each counted once: a slab has a
  // base plane and may have an i8 and a pca sketch.
  std::uint64_t planes = 0;
  std::uint64_t i8_planes = 0;   // of these
  std::uint64_t pca_planes = 0;  // of these
  // How often a worker passed on a better threshold to the others: a score that
  // the k best of a query surely reach, so that rows which cannot reach it are
  // left out. Many, beside many rows refined, mean that the best rows were
  // compared late. 0 without sketches. Depends on the timing of threads.
  std::uint64_t threshold_rounds = 0;
  // Live rows that were left out because they are damaged: the answer is partial where
  // this is not 0 (SearchOptions::allow_partial).
  std::uint64_t left_out = 0;
  // Queries that too many rows survived the comparison of sketches for, so that
  // all rows were scored: such a search costs more than one without sketches.
  std::uint64_t fallbacks = 0;
};

struct SearchOptions {
  std::size_t k = 10;                 // hits per query, 1..1048576
  std::optional<Metric> metric = {};  // unset: the collection's
  // Cosine and dot: hits with a smaller score are left out. Refused with l2.
  std::optional<double> min_score = {};
  // L2: hits at a larger distance are left out. Refused with cosine and dot.
  std::optional<double> max_distance = {};
  // Only these records are compared; ids that are absent are passed over. An
  // empty span means none, an unset one means all.
  std::optional<std::span<const Id>> ids = {};
  With with = {};
  std::shared_ptr<const Snapshot> snapshot = {};  // as in ReadOptions
  // At most this many threads work on the call, the caller's among them;
  // limited by OpenOptions::threads or executor. 0: as many as the store has.
  std::size_t threads = 0;
  // Bytes that the search may have at once for its work: queries and their codes,
  // candidates, survivors of each thread. 0: no limit. Less means that fewer
  // queries go through the rows together, on fewer threads, never another answer.
  // Chosen ids, the hits, and the lookup of their ids and records come on top.
  // kInvalidArgument says how many bytes one query needs at least; kNoSpace, that
  // rows which tie for the last place do not fit.
  std::size_t max_memory = 256u << 20;
  // The search ends with kCancelled soon after a stop is requested, and with
  // kDeadlineExceeded soon after the deadline: within the time that one thread
  // takes for about 1 MiB of vectors.
  std::stop_token stop = {};
  std::optional<std::chrono::steady_clock::time_point> deadline = {};
  // Checks the vectors that hits come from against their checksums, one block of about
  // 64 KiB for each hit; what does not match counts as damaged from then on. Says
  // nothing of vectors that are no hits, nor of row numbers: Store::Verify does.
  bool verify = false;
  // Rows that are known to be damaged, by a scrub or by `verify`, make a search fail
  // with kCorruption that would compare them, unless this is set: then they are left
  // out, and SearchStats::left_out says how many.
  bool allow_partial = false;
  SearchStats* stats = nullptr;  // filled when the search succeeds; null: not wanted
};

}  // namespace quarry
