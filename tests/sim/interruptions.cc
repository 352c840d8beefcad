#include "tests/sim/interruptions.h"

#include <string>

#include "tests/child_process.h"
#include "tests/sim/crash_store.h"
#include "tests/temp_dir.h"

namespace quarry::sim {

Report Interruptions(const HarnessOptions& options) {
  Report report;
  const Budget budget(options);
  for (std::uint64_t seed = options.seed; report.histories < options.count; ++seed) {
    if (budget.OutOfTime()) break;
    ++report.histories;
    Rng rng(seed);
    const testing_support::TempDir directory(ParentOfStore(seed));
    CrashStore store(directory / "store", seed, seed % 3 == 0 ? 0 : 40, report);
    const CrashChildWork work{
        .commits = 12, .rounds = 3, .more = {"interrupt", std::to_string(seed)}};
    testing_support::ChildProcess child(store.CommandOf(options.child, work));
    const bool sound = store.NoteRest(child);
    const int code = child.Wait();
    std::string problem = store.problem();
    if (sound && code != 0) problem = "a child ends with " + std::to_string(code);
    if (problem.empty() && !store.Check(CrashStore::Loss::kNone, rng)) problem = store.problem();
    if (!problem.empty()) report.Violation("seed " + std::to_string(seed) + ": " + problem);
  }
  return report;
}

}  // namespace quarry::sim
