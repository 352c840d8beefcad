#include "tests/sim/kills.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <string>

#include "tests/sim/child_process.h"
#include "tests/sim/crash_store.h"
#include "tests/temp_dir.h"

namespace quarry::sim {
namespace {

constexpr std::uint64_t kKillsOfStore = 12;

// Where a child is killed.
struct Moment {
  std::string line;  // what it says then begins with this; "": at its start
  std::uint64_t nth = 1;
  std::chrono::microseconds delay{0};

  std::string ToString() const {
    return std::to_string(delay.count()) + " us after line " + std::to_string(nth) + " of \"" +
           line + "\"";
  }
};

std::uint64_t Below(Rng& rng, std::uint64_t n) { return rng() % n; }

// From 1 to 2^bits, as many short ones as long ones.
std::chrono::microseconds AnyDelay(Rng& rng, double bits) {
  const double exponent = static_cast<double>(Below(rng, 1001)) / 1000 * bits;
  return std::chrono::microseconds(static_cast<std::int64_t>(std::exp2(exponent)));
}

Moment AnyMoment(Rng& rng) {
  switch (Below(rng, 10)) {
    case 0:
      return {"", 1, std::chrono::microseconds(Below(rng, 30'000))};
    case 1:
    case 2:
      return {"open", 1 + Below(rng, 2), std::chrono::microseconds(Below(rng, 12'000))};
    case 3:
      return {"close", 1, std::chrono::microseconds(Below(rng, 4'000))};
    default:
      return {"begin", 1 + Below(rng, 20), AnyDelay(rng, 11)};
  }
}

void Pause(std::chrono::microseconds delay) {
  // Sleeping is late by more than a commit takes.
  const auto end = std::chrono::steady_clock::now() + delay;
  while (std::chrono::steady_clock::now() < end) {
  }
}

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
      const std::uint64_t kills = 1 + (Below(rng_, 4) == 0 ? 1 + Below(rng_, 2) : 0);
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
    const CrashChildWork work{.directory = directory_ / "store", .commits = 1 + Below(rng_, 30)};
    ChildProcess child(store_.CommandOf(options_.child, work));
    std::uint64_t met = 0;
    while (!moment.line.empty() && met < moment.nth) {
      const auto line = child.NextLine();
      if (!line) {
        problem_ = child.timed_out() ? "a child hangs"
                                     : "a child ends by itself: " + std::to_string(child.Wait());
        return false;
      }
      if (!store_.Note(*line)) return false;
      if (line->substr(0, line->find(' ')) == moment.line) ++met;
    }
    Pause(moment.delay);
    child.Kill();
    while (const auto line = child.NextLine()) {
      if (!store_.Note(*line)) return false;
    }
    return true;
  }

  void Violation() {
    const std::string& what = problem_.empty() ? store_.problem() : problem_;
    report_.Violation("seed " + std::to_string(seed_) + ", " + place_ + ": " + what);
  }

  const HarnessOptions& options_;
  const std::uint64_t seed_;
  Rng rng_;
  Report& report_;
  testing_support::TempDir directory_;
  CrashStore store_;
  std::string place_;
  std::string problem_;
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
