#include "tests/sim/loop_power_cuts.h"

#include <signal.h>
#include <sys/prctl.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "format/status_macros.h"
#include "tests/child_process.h"
#include "tests/sim/crash_store.h"
#include "tests/sim/loop_disk.h"
#include "tests/sim/moments.h"

namespace quarry::sim {
namespace {

constexpr std::uint64_t kCutsOfDisk = 10;

// Cuts the power of one disk again and again.
class Machine {
 public:
  Machine(const std::string& type, std::uint64_t seed, Report& report)
      : type_(type),
        seed_(seed),
        rng_(seed),
        report_(report),
        store_(disk_.path() + "/store", seed, seed % 3 == 0 ? 0 : 40, report) {}

  // An error: the disk cannot be made, cut or mounted. What the store does wrong is a
  // violation.
  Status Run(const Budget& budget) {
    QUARRY_TRY(disk_.Make(type_));
    for (std::uint64_t i = 0; i < kCutsOfDisk && !budget.Spent(report_); ++i) {
      const Moment moment = AnyMoment(rng_);
      const bool log = rng_() % 4 == 0;
      place_ = type_ + ", cut " + std::to_string(i + 1) + (log ? " with" : " without") +
               " the log, " + moment.ToString();
      bool sound = true;
      QUARRY_TRY(Cut(moment, log, &sound));
      if (!sound || !store_.Check(CrashStore::Loss::kUnsynced, rng_)) {
        report_.Violation("seed " + std::to_string(seed_) + ", " + place_ + ": " +
                          store_.problem());
        break;
      }
    }
    return Status::Ok();
  }

 private:
  Status Cut(const Moment& moment, bool log, bool* sound) {
    {
      const CrashChildWork work{.commits = 1 + rng_() % 30};
      testing_support::ChildProcess child(store_.CommandOf("/proc/self/exe", work));
      *sound = store_.RunUntil(child, moment) && store_.NoteLastPromises(child);
      QUARRY_TRY(disk_.CutPower(log));
      // Else it goes on until a call fails.
      if (rng_() % 2 == 0) child.Kill();
      *sound = *sound && store_.NoteRest(child);
    }
    return disk_.MountAgain();
  }

  const std::string type_;
  const std::uint64_t seed_;
  Rng rng_;
  Report& report_;
  LoopDisk disk_;
  CrashStore store_;
  std::string place_;
};

// What LoopPowerCutsMain writes and LoopPowerCuts reads.
void Print(const Report& report) {
  std::printf("counts %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", report.states,
              report.histories, report.rows, report.violations);
  if (report.violations > 0) std::printf("violation %s\n", report.first_violation.c_str());
  if (!report.skipped.empty()) std::printf("skipped %s\n", report.skipped.c_str());
  std::fflush(stdout);
}

void Read(const std::string& line, Report& report) {
  const std::string text = line.substr(line.find(' ') + 1);
  if (line.starts_with("counts ")) {
    std::sscanf(text.c_str(), "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &report.states,
                &report.histories, &report.rows, &report.violations);
  } else if (line.starts_with("violation ")) {
    report.first_violation = text;
  } else if (line.starts_with("skipped ")) {
    report.skipped = text;
  }
}

}  // namespace

int LoopPowerCutsMain(char** argv) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // mounts go with this process
  HarnessOptions options;
  options.kind = std::atoi(argv[2]);
  options.seed = std::strtoull(argv[3], nullptr, 10);
  options.count = std::strtoull(argv[4], nullptr, 10);
  options.seconds = std::strtod(argv[5], nullptr);
  Report report;
  const Budget budget(options);
  Status status = LoopDisk::EnterPrivateMounts();
  for (std::uint64_t seed = options.seed; status.ok() && !budget.Spent(report); ++seed) {
    ++report.histories;
    status = Machine(options.kind == 1 ? "xfs" : "ext4", seed, report).Run(budget);
    Print(report);
  }
  if (status.code() == StatusCode::kNotSupported) {
    report.skipped = status.message();
  } else if (!status.ok()) {
    report.Violation(status.ToString());
  }
  Print(report);
  return 0;
}

Report LoopPowerCuts(const HarnessOptions& options) {
  Report report;
  testing_support::ChildProcess child({options.child, "--loop-power-cuts",
                                       std::to_string(options.kind), std::to_string(options.seed),
                                       std::to_string(options.count),
                                       std::to_string(options.seconds)});
  while (const auto line = child.NextLine()) Read(*line, report);
  if (const int code = child.Wait(); code != 0) {
    report.Violation("quarry_crash_child --loop-power-cuts ends with " + std::to_string(code));
  }
  return report;
}

}  // namespace quarry::sim
