// Writers, readers and changes of sketches and collections beside each other:
// every answer must be that of one committed state.
//
//   quarry_soak [--minutes N] [--rounds N] [--writes N]
//
// One lap, each a store of its own, or as many as N minutes take. Prints figures;
// ends with 1 after a violation, with 2 for arguments it does not know. QUARRY_SEED
// repeats what each thread does, but not how they interleave.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>

#include "tests/random_seed.h"
#include "tests/stress/lap.h"

namespace quarry::testing_support {
namespace {

struct Arguments {
  std::size_t minutes = 0;
  LapOptions lap;
};

std::optional<Arguments> Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    char* end = nullptr;
    const std::size_t value = i + 1 < argc ? std::strtoul(argv[i + 1], &end, 10) : 0;
    if (value == 0 || *end != '\0') return std::nullopt;
    if (name == "--minutes") {
      arguments.minutes = value;
    } else if (name == "--rounds") {
      arguments.lap.rounds = value;
    } else if (name == "--writes") {
      arguments.lap.writes = value;
    } else {
      return std::nullopt;
    }
  }
  return arguments;
}

// Of this process.
std::size_t ResidentKib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::strtoul(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

std::size_t OpenFiles() {
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator("/proc/self/fd"))
    ++files;
  return files;
}

void Print(std::size_t laps, const Figures& figures) {
  std::cout << "laps " << laps << ", commits " << figures.commits << ", refused " << figures.refused
            << ", searches " << figures.searches << ", of them by sketches " << figures.sketched
            << ", other reads " << figures.reads << ", states compared " << figures.compared
            << ", verified " << figures.verified << ", slabs compacted " << figures.compacted
            << ", pca sketches seen " << figures.pca << ", violations " << figures.violations.size()
            << std::endl;
}

int Run(Arguments arguments) {
  using Clock = std::chrono::steady_clock;
  const std::uint64_t seed = RandomSeed();
  const auto end = Clock::now() + std::chrono::minutes(arguments.minutes);
  Figures figures;
  std::size_t laps = 0, first_files = 0, first_kib = 0, most_kib = 0;
  do {
    arguments.lap.seed = seed + laps;
    RunLap(arguments.lap, figures);
    ++laps;
    if (laps == 1) first_files = OpenFiles();
    if (laps == 1) first_kib = ResidentKib();
    most_kib = std::max(most_kib, ResidentKib());
    if (OpenFiles() > first_files) {
      figures.violations.push_back("files stay open: " + std::to_string(OpenFiles()) + ", after " +
                                   "the first lap " + std::to_string(first_files));
    }
    if (laps % 10 == 0) Print(laps, figures);
  } while (figures.violations.empty() && Clock::now() < end);
  Print(laps, figures);
  std::cout << "resident between laps: " << first_kib << " KiB after the first, at most "
            << most_kib << "; open files: " << first_files << " after the first, now "
            << OpenFiles() << std::endl;
  for (std::size_t i = 0; i < std::min<std::size_t>(figures.violations.size(), 20); ++i)
    std::cout << "violation in lap " << laps << ": " << figures.violations[i] << std::endl;
  return figures.violations.empty() ? 0 : 1;
}

}  // namespace
}  // namespace quarry::testing_support

int main(int argc, char** argv) {
  const auto arguments = quarry::testing_support::Parse(argc, argv);
  if (!arguments) {
    std::cerr << "usage: quarry_soak [--minutes N] [--rounds N] [--writes N]" << std::endl;
    return 2;
  }
  return quarry::testing_support::Run(*arguments);
}
