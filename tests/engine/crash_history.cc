#include "tests/engine/crash_history.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "tests/engine/test_store.h"

namespace quarry::testing_support {
namespace {

constexpr std::size_t kDim = 67;
constexpr std::uint64_t kIds = 300;

// One commit: records for collection "numbers" (f32) and for "names" (i8), and
// deletions from both. It always changes something.
struct Step {
  struct Change {
    std::vector<Id> put;
    std::vector<float> vectors;  // [put, kDim]
    std::vector<std::string> metadata;
    std::vector<Id> removed;
  };
  std::map<std::string, Change> changes;
  bool sync = true;
};

Id IdOf(const std::string& collection, std::uint64_t number) {
  if (collection == "numbers") return Id(number);
  return Id("name " + std::to_string(number));
}

Step StepOf(std::uint64_t sequence) {
  std::mt19937_64 rng(sequence);
  Step step;
  step.sync = rng() % 4 != 0;
  for (const std::string collection : {"numbers", "names"}) {
    Step::Change& change = step.changes[collection];
    // Neighbours on a ring, so that none occurs twice.
    std::uint64_t id = rng() % kIds;
    const std::uint64_t n = rng() % 50 == 0 ? 200 : 1 + rng() % 12;
    for (std::uint64_t i = 0; i < n; ++i) {
      change.put.push_back(IdOf(collection, id++ % kIds));
      change.metadata.push_back("{\"sequence\":" + std::to_string(sequence) + "}");
      for (std::size_t e = 0; e < kDim; ++e)
        change.vectors.push_back(static_cast<float>(rng() % 200) - 99.5f);
    }
    for (std::uint64_t i = 0; i < rng() % 5; ++i) {
      change.removed.push_back(IdOf(collection, id++ % kIds));
    }
  }
  return step;
}

// One write, so that lines of a killed child are whole.
void Say(const char* what, std::uint64_t sequence) {
  const std::string line = what + std::to_string(sequence) + "\n";
  if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) std::abort();
}

int Fail(const Status& status) {
  std::fprintf(stderr, "child: %s\n", status.ToString().c_str());
  return 1;
}

}  // namespace

OpenOptions CrashHistory::Options() {
  OpenOptions options;
  options.compaction = false;  // its commits would come between those of the history
  options.slab_bytes = 1u << 20;
  return options;
}

void CrashHistory::Create(const std::string& path) {
  OpenOptions options = Options();
  options.create_if_missing = true;
  const auto store = Store::Open(path, options);
  if (!store.ok()) std::abort();
  CollectionSchema schema;
  schema.dim = kDim;
  schema.fields = {{"sequence", FieldType::kInt}};
  if (!(*store)->CreateCollection("numbers", schema).ok()) std::abort();
  schema.level = Level::kI8;
  schema.id_type = IdType::kString;
  if (!(*store)->CreateCollection("names", schema).ok()) std::abort();
}

Status CrashHistory::Write(Store& store, std::uint64_t sequence) {
  const Step step = StepOf(sequence);
  std::vector<std::vector<std::string_view>> metadata;
  metadata.reserve(step.changes.size());
  Batch batch;
  for (const auto& [name, change] : step.changes) {
    const auto collection = store.GetCollection(name);
    if (!collection.ok()) return collection.status();
    metadata.emplace_back(change.metadata.begin(), change.metadata.end());
    batch.Upsert(*collection, {.ids = change.put,
                               .vectors = {change.vectors.data(), change.put.size(), kDim},
                               .metadata = metadata.back()});
    batch.Delete(*collection, change.removed);
  }
  const auto written = store.Write(batch, {.sync = step.sync});
  if (!written.ok()) return written.status();
  return written->sequence == sequence ? Status::Ok()
                                       : Status::DataLoss("another sequence than expected");
}

int CrashHistory::WriteUntilKilled(const std::string& path, const OpenOptions& options) {
  const auto store = Store::Open(path, options);
  if (!store.ok()) return Fail(store.status());
  const auto info = (*store)->Info();
  if (!info.ok()) return Fail(info.status());
  for (std::uint64_t sequence = info->sequence + 1;; ++sequence) {
    Say("begin ", sequence);
    if (const Status written = Write(**store, sequence); !written.ok()) return Fail(written);
    Say("done ", sequence);
  }
}

void CrashHistory::ExpectState(const Store& store, std::uint64_t sequence,
                               std::shared_ptr<const Snapshot> snapshot) {
  for (const auto& [name, reference] : StateAfter(sequence)) {
    const Collection collection = Value(store.GetCollection(name));
    EXPECT_TRUE(Contents(collection, snapshot) == reference.records)
        << name << " after commit " << sequence;
    EXPECT_EQ(Value(collection.Count({.snapshot = snapshot})), reference.records.size());
    const std::vector<float> query(collection.schema().dim, 1.5f);
    SearchOptions options{.k = 20};
    options.snapshot = snapshot;
    ExpectSameHits(Search(collection, query, options),
                   reference.Search(Metric::kCosine, query, 20));
  }
}

std::map<std::string, Reference> CrashHistory::StateAfter(std::uint64_t sequence) {
  std::map<std::string, Reference> state;
  for (std::uint64_t s = kFirstSequence + 1; s <= sequence; ++s) {
    for (const auto& [name, change] : StepOf(s).changes) {
      const Level level = name == "numbers" ? Level::kF32 : Level::kI8;
      auto& records = state[name].records;
      for (std::size_t i = 0; i < change.put.size(); ++i) {
        const std::span<const float> vector(change.vectors.data() + i * kDim, kDim);
        records[change.put[i]] = {AsStored(level, vector), change.metadata[i]};
      }
      for (const Id& id : change.removed) records.erase(id);
    }
  }
  return state;
}

}  // namespace quarry::testing_support
