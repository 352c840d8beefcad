// Each seeded bug is found by a harness of crash tests, and without one there is nothing
// to find. A test runs the harness that is known to find its bug, with the seed that it
// is known to find it with, or QUARRY_SEED; QUARRY_SEEDED_ALL=1 runs all of them:
// tools/dev seeded.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "tests/seeded/bugs.h"

namespace quarry::storage {

std::atomic<SeededBug> seeded_bug = SeededBug::kNone;

}  // namespace quarry::storage

namespace quarry::sim {
namespace {

constexpr unsigned kMaxSeconds = 200;  // of one run
// Which history finds a bug depends on the code: so many times the states of its harness
// are checked, from the bug's seed on, before it counts as not found.
constexpr std::uint64_t kPatience = 20;

struct Finding {
  bool in_time = true;
  std::string violation;  // "" if none
};

// In a process of its own: a store that breaks its invariants ends that. This one has no
// threads, so it may fork.
Finding RunApart(const Harness& harness, storage::SeededBug bug, const HarnessOptions& options) {
  int ends[2];
  if (::pipe(ends) != 0) return {false, "no pipe"};
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(kMaxSeconds);
    storage::seeded_bug = bug;
    const Report report = harness.run(options);
    std::string text = report.first_violation;
    if (text.empty() && report.states == 0) text = "no state was checked";
    const bool told = ::write(ends[1], text.data(), text.size()) >= 0;
    ::_exit(told ? 0 : 1);
  }
  ::close(ends[1]);
  Finding finding;
  char piece[512];
  for (ssize_t n; (n = ::read(ends[0], piece, sizeof(piece))) > 0;) {
    finding.violation.append(piece, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    finding.in_time = WTERMSIG(status) != SIGALRM;
    finding.violation = "ended by signal " + std::to_string(WTERMSIG(status));
  } else if (status != 0) {
    finding.violation = "ended with status " + std::to_string(status);
  }
  return finding;
}

HarnessOptions OptionsOf(const Harness& harness, std::uint64_t seed) {
  HarnessOptions options;
  options.seed = seed;
  options.count = harness.count;
  options.until_violation = true;
  return options;
}

// Each test prints a row of a matrix, whose head comes first.
class SeededBugTest : public testing::TestWithParam<NamedBug> {
 protected:
  static void SetUpTestSuite() {
    std::cout << "| bug |";
    for (const Harness& harness : Harnesses()) std::cout << " " << harness.name << " |";
    std::cout << std::endl;
  }
};

TEST_P(SeededBugTest, IsFound) {
  const NamedBug& bug = GetParam();
  const bool all = std::getenv("QUARRY_SEEDED_ALL") != nullptr;
  const char* const given = std::getenv("QUARRY_SEED");
  const std::uint64_t seed = given == nullptr ? bug.seed : std::strtoull(given, nullptr, 10);
  std::string row = "| " + std::string(bug.name) + " |";
  bool found = false;
  for (const Harness& harness : Harnesses()) {
    const bool known = harness.name == std::string_view(bug.harness);
    if (!known && !all) {
      row += " not run |";
      continue;
    }
    HarnessOptions options = OptionsOf(harness, known ? seed : 1);
    if (known) {
      options.count *= kPatience;
    } else {
      options.every = 3;  // of the calls that may fail
    }
    const Finding finding = RunApart(harness, bug.bug, options);
    const bool caught = finding.in_time && !finding.violation.empty();
    row += caught ? " caught |" : finding.in_time ? " - |" : " no end |";
    if (caught) {
      std::cout << harness.name << ", seed " << options.seed << ": " << finding.violation << "\n";
    }
    if (!known) continue;
    found = caught;
    EXPECT_TRUE(caught) << harness.name << ", seed " << options.seed << ", does not notice "
                        << bug.name;
  }
  std::cout << row << std::endl;
  EXPECT_TRUE(found) << "there is no harness " << bug.harness;
}

std::string NameOf(const testing::TestParamInfo<NamedBug>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(All, SeededBugTest, testing::ValuesIn(Bugs().begin(), Bugs().end()),
                         NameOf);

// What finds a bug finds nothing where there is none.
class NoBugTest : public testing::TestWithParam<Harness> {};

TEST_P(NoBugTest, NothingIsFound) {
  const Harness& harness = GetParam();
  HarnessOptions options = OptionsOf(harness, 1);
  options.every = 10;  // of the calls that may fail: tests/crash has all of them fail
  const Finding finding = RunApart(harness, storage::SeededBug::kNone, options);
  EXPECT_TRUE(finding.in_time);
  EXPECT_EQ(finding.violation, "");
}

std::string NameOfHarness(const testing::TestParamInfo<Harness>& tested) {
  std::string name = tested.param.name;
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, NoBugTest, testing::ValuesIn(Harnesses().begin(), Harnesses().end()),
                         NameOfHarness);

}  // namespace
}  // namespace quarry::sim
