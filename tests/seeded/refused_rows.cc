// The scenario of rows that are written a second time.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/seeded/scenarios.h"
#include "tests/sim/sim_store.h"

namespace quarry::sim {
namespace {

// A store with a collection that has an i8 sketch, and one whose rows are written later.
class TwoCollections {
 public:
  explicit TwoCollections(Report& report) {
    Status status = store_.Open(/*create=*/true);
    if (status.ok())
      status = Make("tiled", {.dim = kWidth, .metric = Metric::kDot, .sketch = SketchPolicy::kI8});
    if (status.ok()) status = Write(/*first=*/0, /*with_others=*/false);
    if (status.ok()) status = Make("others", {.dim = kWidth});
    if (!status.ok()) report.Violation("a new store: " + status.ToString());
  }

  SimStore& store() { return store_; }

  // Rows in "tiled" with the numbers from `first` down in all places: more than a tile.
  Status Write(int first, bool with_others) {
    constexpr std::size_t kRows = 100;
    std::vector<Id> ids;
    std::vector<float> vectors;
    for (std::size_t i = 0; i < kRows; ++i) {
      ids.emplace_back(static_cast<std::uint64_t>(10'000 + first) + i);
      vectors.insert(vectors.end(), kWidth, static_cast<float>(first) - static_cast<float>(i));
    }
    const Records records{.ids = ids, .vectors = {vectors.data(), kRows, kWidth}, .metadata = {}};
    Batch batch;
    batch.Upsert(Handle(store_, "tiled"), records);
    if (with_others) batch.Upsert(Handle(store_, "others"), records);
    return store_.core()->Write(batch, {}).status();
  }

  // What a search for the longest row finds, if that is not row `first`.
  static std::string BestIsNot(SimStore& store, int first) {
    const Status opened = store.Open(/*create=*/false);
    if (!opened.ok()) return "open: " + opened.ToString();
    const std::vector<float> query(kWidth, 1);
    const auto hits = Handle(store, "tiled").Search({query.data(), 1, kWidth}, {.k = 1});
    if (!hits.ok()) return "search: " + hits.status().ToString();
    const Id found = hits->at(0).at(0).id;
    const Id expected(static_cast<std::uint64_t>(10'000 + first));
    return found == expected ? ""
                             : "found " + found.ToString() + ", expected " + expected.ToString();
  }

 private:
  static constexpr std::size_t kWidth = 64;

  static Collection Handle(SimStore& store, const char* name) {
    const auto view = (*store.core()->StateFor(nullptr))->Find(name);
    return Collection(store.core(), view->number, view->name, view->schema);
  }

  Status Make(const char* name, const CollectionSchema& schema) {
    return store_.core()->CreateCollection(name, schema).status();
  }

  SimStore store_;
};

}  // namespace

Report RefusedRows(const HarnessOptions& options) {
  constexpr int kPowerCuts = 6;
  Report report;
  report.histories = 1;
  Rng rng(options.seed);
  for (std::uint64_t n = 1; report.violations == 0; ++n) {
    TwoCollections store(report);
    store.store().disk().SetFault({Fault::Kind::kNoSpace, n, /*all_after=*/false});
    const Status status = store.Write(/*first=*/-1000, /*with_others=*/true);
    if (!store.store().disk().fault_fired()) break;
    store.store().disk().SetFault({});
    // What stays refused is another matter.
    if (status.ok() || !store.Write(/*first=*/1000, /*with_others=*/false).ok()) continue;
    for (int i = 0; i < kPowerCuts && report.violations == 0; ++i) {
      SimStore after(store.store().disk().Now().AfterPowerCut(rng));
      ++report.states;
      const std::string wrong = TwoCollections::BestIsNot(after, 1000);
      if (wrong.empty()) continue;
      report.Violation("seed " + std::to_string(options.seed) + ", call " + std::to_string(n) +
                       " failed: " + wrong);
    }
  }
  return report;
}

}  // namespace quarry::sim
