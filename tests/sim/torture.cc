// quarry_torture: all harnesses of crash tests, in turn, with new seeds, for a time.
//
//   quarry_torture --minutes N          all of them
//   quarry_torture NAME SEED COUNT      one of them: how a violation is seen again
//
// Exit code: 0: no violation, 1: some, 2: wrong arguments.

#include <array>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string_view>

#include "tests/sim/faults.h"
#include "tests/sim/flushes.h"
#include "tests/sim/interruptions.h"
#include "tests/sim/kills.h"
#include "tests/sim/loop_power_cuts.h"
#include "tests/sim/power_cuts.h"

namespace quarry::sim {
namespace {

constexpr std::array kHarnesses = {Harness{"power-cuts", PowerCuts, 3000},
                                   Harness{"every-position", EveryPosition, 1},
                                   Harness{"faults", Faults, 1},
                                   Harness{"full-disks", FullDisks, 40},
                                   Harness{"flushes", Flushes, 40},
                                   Harness{"kills", Kills, 300},
                                   Harness{"interruptions", Interruptions, 40},
                                   Harness{"ext4-power-cuts", LoopPowerCuts, 50, 0},
                                   Harness{"xfs-power-cuts", LoopPowerCuts, 50, 1}};

Report RunOnce(const Harness& harness, const HarnessOptions& options) {
  std::printf("%s, seed %" PRIu64 ": ", harness.name, options.seed);
  std::fflush(stdout);  // it is there when the program is ended by a signal
  const auto start = std::chrono::steady_clock::now();
  const Report report = harness.run(options);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  std::printf("%" PRIu64 " states, %" PRIu64 " histories, %" PRIu64 " records, %" PRIu64
              " violations, %.1f s\n",
              report.states, report.histories, report.rows, report.violations, elapsed.count());
  if (!report.skipped.empty()) std::printf("  skipped: %s\n", report.skipped.c_str());
  if (report.violations > 0) std::printf("  %s\n", report.first_violation.c_str());
  return report;
}

void PrintTotal(const char* name, const Report& total) {
  std::printf("| %s | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " |\n", name,
              total.states, total.histories, total.rows, total.violations);
}

int RunFor(double minutes) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(minutes * 60);
  std::random_device random;
  std::array<Report, kHarnesses.size()> totals;
  for (std::size_t turn = 0;; ++turn) {
    const std::chrono::duration<double> left = end - std::chrono::steady_clock::now();
    if (left.count() <= 0) break;
    const Harness& harness = kHarnesses[turn % kHarnesses.size()];
    HarnessOptions options;
    options.seed = random();
    options.count = harness.count;
    options.kind = harness.kind;
    options.child = QUARRY_CRASH_CHILD;
    options.seconds = left.count();
    const Report report = RunOnce(harness, options);
    Report& total = totals[turn % kHarnesses.size()];
    total.states += report.states;
    total.histories += report.histories;
    total.rows += report.rows;
    total.violations += report.violations;
  }
  Report all;
  std::printf(
      "\n| crashes | states | histories | records compared | violations |\n"
      "| --- | --- | --- | --- | --- |\n");
  for (std::size_t i = 0; i < kHarnesses.size(); ++i) {
    PrintTotal(kHarnesses[i].name, totals[i]);
    all.states += totals[i].states;
    all.histories += totals[i].histories;
    all.rows += totals[i].rows;
    all.violations += totals[i].violations;
  }
  PrintTotal("all", all);
  return all.violations == 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  if (argc == 3 && argv[1] == std::string_view("--minutes")) {
    return RunFor(std::strtod(argv[2], nullptr));
  }
  for (const Harness& harness : kHarnesses) {
    if (argc != 4 || argv[1] != std::string_view(harness.name)) continue;
    HarnessOptions options;
    options.seed = std::strtoull(argv[2], nullptr, 10);
    options.count = std::strtoull(argv[3], nullptr, 10);
    options.kind = harness.kind;
    options.child = QUARRY_CRASH_CHILD;
    return RunOnce(harness, options).violations == 0 ? 0 : 1;
  }
  std::fprintf(stderr,
               "usage: quarry_torture --minutes N\n"
               "       quarry_torture NAME SEED COUNT, where NAME is one of\n");
  for (const Harness& harness : kHarnesses) std::fprintf(stderr, "         %s\n", harness.name);
  return 2;
}

}  // namespace
}  // namespace quarry::sim

int main(int argc, char** argv) { return quarry::sim::Main(argc, argv); }
