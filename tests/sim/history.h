// A seeded stream of commits, and what a store holds after each of them.
//
// A step depends on a seed and on the state before it alone: whoever knows both knows
// what the next commit is, in this process or another.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/store_core.h"
#include "quarry/store.h"
#include "tests/engine/reference.h"

namespace quarry::sim {

struct ModelCollection {
  CollectionSchema schema;
  // Of those that expire, only what does so far in the future: the others are not there.
  std::map<Id, std::shared_ptr<const testing_support::Reference::Entry>> records;
  std::set<Id> expired;  // and not removed yet
  std::uint64_t next_auto_id = 0;
};

// A committed state. A value: copies share what they have in common.
struct Model {
  std::uint64_t sequence = 0;
  std::map<std::string, std::shared_ptr<const ModelCollection>> collections;
  // StoreInfo::written_bytes, as a store has told; nullopt: none was asked.
  std::optional<std::uint64_t> written_bytes;
};

// One commit. It always changes something.
struct Step {
  enum class Kind { kWrite, kCreate, kDrop, kRemoveExpired };
  struct Change {
    using Kind = Batch::Operation::Kind;
    Kind kind = Kind::kUpsert;
    std::string collection;
    bool assigned = false;  // the store gives the ids, which are in `ids` all the same
    std::vector<Id> ids;
    std::vector<float> vectors;  // [ids, dim], or empty
    std::vector<std::string> metadata;
    std::vector<std::int64_t> expires_at_unix_ms;  // or empty
  };
  Kind kind = Kind::kWrite;
  std::string name;         // of kCreate and kDrop
  CollectionSchema schema;  // of kCreate
  std::vector<Change> changes;
  bool sync = true;

  // Whether it is durable once it is done.
  bool durable() const { return sync || kind == Kind::kCreate || kind == Kind::kDrop; }
};

struct StepOptions {
  std::uint64_t seed = 1;
  unsigned relaxed_percent = 30;  // of the writes have sync = false
  // Whether some records have expired: not where the store's thread removes them, by
  // commits that no step stands for.
  bool expired = true;
};

Step StepAfter(const StepOptions& options, const Model& model);
Model After(const Model& model, const Step& step);
Status Run(const std::shared_ptr<StoreCore>& core, const Model& model, const Step& step);

// Whether a store in this state is compacted before its next step: that commits, but
// changes no record.
bool IsCompactedAfter(const StepOptions& options, const Model& model);
Status Compact(const std::shared_ptr<StoreCore>& core);
// The same records, as of a commit of a compaction: the first removes what has expired.
Model Compacted(Model model, std::uint64_t sequence);

// StoreInfo::written_bytes of the current state; nullopt: it cannot be read.
std::optional<std::uint64_t> WrittenBytes(const std::shared_ptr<StoreCore>& core);

// Compares all that a store has (collections, ids, metadata, vectors, the best hits
// of a search) with a state. Empty: they are equal. Else what is different.
//   rows   grows by the records that were compared
std::string Difference(const std::shared_ptr<StoreCore>& core, const Model& model,
                       std::uint64_t* rows);

}  // namespace quarry::sim
