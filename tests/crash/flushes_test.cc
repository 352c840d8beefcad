// Power cuts around the moment when the catalog moves commits from its log to tables.

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/crash/harness_test.h"
#include "tests/sim/history.h"
#include "tests/sim/sim_store.h"

namespace quarry::sim {
namespace {

Step Created() {
  Step step;
  step.kind = Step::Kind::kCreate;
  step.name = "lake";
  step.schema = {.dim = 8};
  return step;
}

// Records with so much metadata each, not synced.
Step Relaxed(std::uint64_t first_id, std::size_t records, std::size_t metadata_bytes) {
  Step step;
  step.sync = false;
  Step::Change change;
  change.collection = "lake";
  for (std::uint64_t id = first_id; id < first_id + records; ++id) {
    change.ids.emplace_back(id);
    change.vectors.insert(change.vectors.end(), 8, static_cast<float>(id + 1));
    change.metadata.push_back("{\"t\":\"" + std::string(metadata_bytes, 'x') + "\"}");
  }
  step.changes.push_back(std::move(change));
  return step;
}

// A large commit makes the log so long that the catalog flushes it all; small ones share
// the block of a slab with it.
TEST(FlushTest, CommitsWithoutSyncLoseOnlyASuffixWhenTheCatalogFlushesBetweenThem) {
  const HarnessOptions options = TestOptions(12);
  SimStore store;
  ASSERT_TRUE(store.Open(/*create=*/true).ok());
  std::vector<Model> states{Model()};
  std::vector<std::size_t> ends;  // in the log of the disk
  for (const Step& step : {Created(), Relaxed(0, 2, 10), Relaxed(10, 75, 900'000),
                           Relaxed(100, 2, 10), Relaxed(110, 2, 10)}) {
    const Status status = sim::Run(store.core(), states.back(), step);
    ASSERT_TRUE(status.ok()) << status.ToString();
    states.push_back(After(states.back(), step));
    store.Drain();
    ends.push_back(store.disk().log_size());
  }
  Rng rng(options.seed);
  std::multiset<std::size_t> positions;
  for (std::uint64_t i = 0; i < options.count; ++i) {
    positions.insert(ends[3] + rng() % (ends.back() + 1 - ends[3]));
  }
  const std::vector<DiskOp> log = store.disk().log();
  DiskModel disk = store.disk().start();
  std::size_t applied = 0;
  for (const std::size_t position : positions) {
    while (applied < position) disk.Apply(log[applied++]);
    SimStore after(disk.AfterPowerCut(rng));
    const Status opened = after.Open(/*create=*/false);
    ASSERT_TRUE(opened.ok()) << "power cut at " << position << ": " << opened.ToString();
    ASSERT_LT(after.sequence(), states.size());
    std::uint64_t rows = 0;
    EXPECT_EQ(Difference(after.core(), states[after.sequence()], &rows), "");
  }
}

}  // namespace
}  // namespace quarry::sim
