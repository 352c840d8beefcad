// The oracle of the stress test: all states that a store went through, by the
// numbers of its commits.

#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "quarry/store.h"
#include "tests/engine/reference.h"

namespace quarry::testing_support {

// One operation of a batch.
struct Change {
  using Kind = Batch::Operation::Kind;
  Kind kind = Kind::kUpsert;
  std::size_t collection = 0;  // of the history
  std::vector<Id> ids;
  std::vector<float> flat;  // [ids, dim]; empty: without vectors
  std::vector<std::string> metadata;
};

// A batch that was given to the store, and what it said.
struct Written {
  std::vector<Change> changes;
  std::uint64_t first = 0, last = 0;  // newest commits before and after the call
  Status status;
  WriteResult result;

  // Whether it is a commit of its own.
  bool changed() const {
    return status.ok() && result.inserted + result.replaced + result.updated + result.deleted > 0;
  }
};

// A call that read, and its answer.
struct Read {
  enum class Kind { kSearch, kGet, kCount, kScroll };
  Kind kind = Kind::kSearch;
  std::size_t collection = 0;
  std::uint64_t first = 0, last = 0;  // it must equal one of these states
  std::vector<float> query;
  Metric metric = Metric::kDot;
  std::size_t k = 0;
  std::optional<std::vector<Id>> ids;  // of a search: only these
  Status status;
  std::vector<Hit> hits;
  SearchStats stats;
  std::map<Id, Reference::Entry> records;
  std::uint64_t count = 0;
};

// Where a commit is whose number is not told: after < number <= by.
struct Between {
  std::uint64_t after = 0, by = 0;
};

// Not thread-safe. Each check returns what is wrong, or "".
class History {
 public:
  struct Facts {
    std::string name;
    std::size_t dim = 0;
    Level level = Level::kF32;
    Between created = {};
  };

  // Returns the number of the collection: 0, 1, ...
  std::size_t Add(Facts facts);
  void Drop(std::size_t collection, Between dropped);

  // The next commit. REQUIRES: in order of their numbers
  std::string Apply(const Written& written);

  // REQUIRES: all commits up to the last that it may have seen are applied
  std::string CheckUnchanged(const Written& written) const;
  std::string Check(const Read& read) const;

  const Reference& Newest(std::size_t collection) const;

  // States before this one are not asked for any more.
  void Forget(std::uint64_t sequence);

  std::uint64_t compared() const { return compared_; }  // states, with answers

 private:
  using Versions = std::map<std::uint64_t, std::shared_ptr<const Reference>>;
  struct Line {
    Facts facts;
    Between dropped = {std::numeric_limits<std::uint64_t>::max(),
                       std::numeric_limits<std::uint64_t>::max()};
    Versions versions;  // by the first commit that shows them

    bool MayBeThere(std::uint64_t at) const { return at > facts.created.after && at < dropped.by; }
    bool MayBeAbsent(std::uint64_t at) const { return at < facts.created.by || at > dropped.after; }
  };

  // The states that commits after the one before `sequence` change, on top of it.
  struct Draft {
    std::map<std::size_t, std::shared_ptr<Reference>> changed;
    WriteResult counts;
  };

  const Reference& At(const Line& line, std::uint64_t sequence) const;
  // nullopt: it must be refused.
  std::optional<Draft> Make(const std::vector<Change>& changes, std::uint64_t sequence) const;
  bool ApplyOne(const Change& change, Level level, Reference& reference, WriteResult& counts) const;
  bool Equals(const Read& read, const Line& line, std::uint64_t sequence) const;

  std::vector<Line> lines_;
  std::uint64_t newest_ = 0;
  mutable std::uint64_t compared_ = 0;
};

}  // namespace quarry::testing_support
