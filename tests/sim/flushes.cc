#include "tests/sim/flushes.h"

#include <set>
#include <string>
#include <vector>

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

// The store after a power cut: one of the states.
std::string Recovered(DiskModel disk, const std::vector<Model>& states, std::uint64_t* rows) {
  SimStore store(std::move(disk));
  const Status opened = store.Open(/*create=*/false);
  if (!opened.ok()) return "open: " + opened.ToString();
  if (store.sequence() >= states.size()) {
    return "sequence " + std::to_string(store.sequence()) + ", expected less than " +
           std::to_string(states.size());
  }
  return Difference(store.core(), states[store.sequence()], rows);
}

}  // namespace

// A large commit makes the log so long that the catalog flushes it all; small ones share
// the block of a slab with it.
Report Flushes(const HarnessOptions& options) {
  Report report;
  const Budget budget(options);
  report.histories = 1;
  SimStore store;
  std::vector<Model> states{Model()};
  std::vector<std::size_t> ends;  // in the log of the disk
  Status status = store.Open(/*create=*/true);
  for (const Step& step : {Created(), Relaxed(0, 2, 10), Relaxed(10, 75, 900'000),
                           Relaxed(100, 2, 10), Relaxed(110, 2, 10)}) {
    if (status.ok()) status = sim::Run(store.core(), states.back(), step);
    if (!status.ok()) {
      report.Violation("without power cuts: " + status.ToString());
      return report;
    }
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
    if (budget.Ended(report)) return report;
    while (applied < position) disk.Apply(log[applied++]);
    ++report.states;
    const std::string wrong = Recovered(disk.AfterPowerCut(rng), states, &report.rows);
    if (wrong.empty()) continue;
    report.Violation("seed " + std::to_string(options.seed) + ", power cut at " +
                     std::to_string(position) + ": " + wrong);
  }
  return report;
}

}  // namespace quarry::sim
