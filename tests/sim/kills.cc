#include "tests/sim/kills.h"

#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/sim/child_process.h"
#include "tests/sim/crash_store.h"
#include "tests/sim/moments.h"
#include "tests/temp_dir.h"

namespace quarry::sim {
namespace {

constexpr std::uint64_t kKillsOfStore = 12;

// Mostly in memory: a kill leaves the page cache, and on a disk most of the time, and so
// most of the kills, are of syncs.
std::filesystem::path Parent(std::uint64_t seed) {
  const std::filesystem::path memory = "/dev/shm";
  const bool disk = seed % 4 == 0 || ::access(memory.c_str(), W_OK) != 0;
  return disk ? std::filesystem::temp_directory_path() : memory;
}

class Killer {
 public:
  Killer(const HarnessOptions& options, std::uint64_t seed, Report& report)
      : options_(options),
        seed_(seed),
        rng_(seed),
        report_(report),
        directory_(Parent(seed)),
        store_(directory_ / "store", seed, seed % 3 == 0 ? 0 : 40, report) {}

  void Run(const Budget& budget) {
    for (std::uint64_t i = 0; i < kKillsOfStore && !budget.Spent(report_); ++i) {
      // Now and then a child meets what is left without a look at it in between.
      const std::uint64_t kills = 1 + (rng_() % 4 == 0 ? 1 + rng_() % 2 : 0);
      for (std::uint64_t k = 0; k < kills; ++k) {
        const Moment moment = AnyMoment(rng_);
        place_ = "kill " + std::to_string(i + 1) + "." + std::to_string(k + 1) + ", " +
                 moment.ToString();
        if (!Kill(moment)) return Violation();
      }
      if (!store_.Check(CrashStore::Loss::kNone, rng_)) return Violation();
    }
  }

 private:
  bool Kill(const Moment& moment) {
    const CrashChildWork work{.commits = 1 + rng_() % 30};
    ChildProcess child(store_.CommandOf(options_.child, work));
    if (!store_.RunUntil(child, moment)) return false;
    child.Kill();
    return store_.NoteRest(child);
  }

  void Violation() {
    report_.Violation("seed " + std::to_string(seed_) + ", " + place_ + ": " + store_.problem());
  }

  const HarnessOptions& options_;
  const std::uint64_t seed_;
  Rng rng_;
  Report& report_;
  testing_support::TempDir directory_;
  CrashStore store_;
  std::string place_;
};

}  // namespace

Report Kills(const HarnessOptions& options) {
  Report report;
  const Budget budget(options);
  for (std::uint64_t seed = options.seed; !budget.Spent(report); ++seed) {
    ++report.histories;
    Killer(options, seed, report).Run(budget);
  }
  return report;
}

}  // namespace quarry::sim
