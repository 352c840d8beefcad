// What a harness of crash tests is asked for and what it found.

#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace quarry::sim {

struct HarnessOptions {
  std::uint64_t seed = 1;        // of the first history; those behind have seed + 1, ...
  std::uint64_t count = 100;     // stops when so many states (faults, kills) were checked
  std::uint64_t every = 1;       // of the calls that may fail only each so many-th does
  int kind = -1;                 // of the faults; -1: all
  double seconds = 0;            // or after this time; 0: no limit
  bool until_violation = false;  // stops at the first
  std::string directory = {};    // on a real file system, for the harnesses that need one
  std::string child = {};        // the path of quarry_crash_child, for those that run it
};

struct Report {
  std::uint64_t states = 0;     // stores opened after a crash or failure, and checked
  std::uint64_t histories = 0;  // each with a seed of its own
  std::uint64_t rows = 0;       // records compared
  std::uint64_t violations = 0;
  std::string first_violation = {};  // with its seed
  std::string skipped = {};          // why nothing was done

  void Violation(const std::string& text) {
    if (violations++ == 0) first_violation = text;
  }
};

// A harness under its name, and what one run of it is asked for.
struct Harness {
  const char* name;
  Report (*run)(const HarnessOptions& options);
  std::uint64_t count;  // of HarnessOptions
  int kind = -1;        // of HarnessOptions
};

// Says when a harness has done what it was asked for.
class Budget {
 public:
  explicit Budget(const HarnessOptions& options)
      : options_(options), start_(std::chrono::steady_clock::now()) {}

  bool OutOfTime() const {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    return options_.seconds > 0 && elapsed.count() >= options_.seconds;
  }
  bool Ended(const Report& report) const {
    return OutOfTime() || (options_.until_violation && report.violations > 0);
  }
  bool Spent(const Report& report) const {
    return report.states >= options_.count || Ended(report);
  }

 private:
  const HarnessOptions& options_;
  const std::chrono::steady_clock::time_point start_;
};

}  // namespace quarry::sim
