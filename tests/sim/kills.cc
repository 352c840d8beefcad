#include "tests/sim/kills.h"

#include <dlfcn.h>

#include <string>

#include "tests/child_process.h"
#include "tests/sim/crash_store.h"
#include "tests/sim/moments.h"
#include "tests/temp_dir.h"

namespace quarry::sim {
namespace {

constexpr std::uint64_t kKillsOfStore = 12;
// Opening a store passes some hundred.
constexpr std::uint64_t kKillPoints = 400;
constexpr std::uint64_t kMoreKillPoints = 1500;

// rocksdb::KillPoint::TestKillRandom
constexpr const char* kKillPoint =
    "_ZN7rocksdb9KillPoint14TestKillRandomENSt7__cxx1112basic_stringIcSt11char_"
    "traitsIcESaIcEEEiRKS6_"
    "i";

class Killer {
 public:
  Killer(const HarnessOptions& options, std::uint64_t seed, Report& report)
      : options_(options),
        seed_(seed),
        rng_(seed),
        report_(report),
        directory_(ParentOfStore(seed)),
        store_(directory_ / "store", seed, seed % 3 == 0 ? 0 : 40, report) {}

  void Run(const Budget& budget) {
    // RocksDB has places made for it, where it was built with assertions.
    const bool has_points = ::dlsym(RTLD_DEFAULT, kKillPoint) != nullptr;
    for (std::uint64_t i = 0; i < kKillsOfStore && !budget.Spent(report_); ++i) {
      // Now and then a child meets what is left without a look at it in between.
      const std::uint64_t kills = 1 + (rng_() % 4 == 0 ? 1 + rng_() % 2 : 0);
      for (std::uint64_t k = 0; k < kills; ++k) {
        const Moment moment = AnyMoment(rng_);
        place_ = "kill " + std::to_string(i + 1) + "." + std::to_string(k + 1) + ", " +
                 moment.ToString();
        const std::uint64_t points = rng_() % 2 == 0 ? kKillPoints : kMoreKillPoints;
        const std::uint64_t point = has_points && rng_() % 4 == 0 ? 1 + rng_() % points : 0;
        if (point > 0) {
          place_ = "kill " + std::to_string(i + 1) + "." + std::to_string(k + 1) +
                   ", at RocksDB's kill point " + std::to_string(point);
        }
        if (!Kill(moment, point)) return Violation();
      }
      if (!store_.Check(CrashStore::Loss::kNone, rng_)) return Violation();
    }
  }

 private:
  // point   0: none, `moment` says when
  bool Kill(const Moment& moment, std::uint64_t point) {
    CrashChildWork work{.commits = 1 + rng_() % 30};
    if (point > 0) work.more = {"kill-point", std::to_string(point)};
    testing_support::ChildProcess child(store_.CommandOf(options_.child, work));
    if (point > 0) return store_.NoteRest(child) && store_.WasKilled(child);
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
