#include "tests/sim/power_cuts.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "tests/sim/history.h"
#include "tests/sim/sim_store.h"

namespace quarry::sim {
namespace {

constexpr std::uint64_t kSteps = 45;           // of a history
constexpr std::uint64_t kShortSteps = 12;      // of one that is cut at every position
constexpr std::uint64_t kStepsAfterCrash = 3;  // of those that go on from a crash
constexpr std::uint64_t kCutsOfHistory = 60;
constexpr int kMaxCrashes = 3;  // one after the other

// Sequences that a store may have after a crash. Creation is commit 0.
struct Bounds {
  std::int64_t durable = -1;  // acknowledged, and no later power cut may undo it
  std::int64_t acked = -1;    // acknowledged: a kill does not undo it
  std::int64_t begun = -1;
};

// What is known of one run of a store, from its opening to its end.
struct Life {
  explicit Life(DiskModel start) : store(std::move(start)) {}

  SimStore store;
  std::map<std::uint64_t, Model> states;  // by sequence
  Bounds before;                          // of what earlier lives left
  struct Mark {
    std::size_t position = 0;  // in the log of the disk
    std::int64_t sequence = 0;
    enum { kBegun, kAcked, kDurable } kind = kBegun;
  };
  std::vector<Mark> marks;

  void Note(decltype(Mark::kind) kind, std::uint64_t sequence) {
    marks.push_back({store.disk().log_size(), static_cast<std::int64_t>(sequence), kind});
  }
  Bounds At(std::size_t position) const {
    Bounds bounds = before;
    for (const Mark& mark : marks) {
      if (mark.position > position) break;
      bounds.begun = std::max(bounds.begun, mark.sequence);
      if (mark.kind != Mark::kBegun) bounds.acked = std::max(bounds.acked, mark.sequence);
      if (mark.kind == Mark::kDurable) bounds.durable = std::max(bounds.durable, mark.sequence);
    }
    return bounds;
  }
};

class History {
 public:
  History(std::uint64_t seed, Report& report)
      : steps_{.seed = seed, .relaxed_percent = seed % 2 == 0 ? 0u : 40u},
        rng_(seed),
        report_(report) {}

  void Run() {
    Life life{DiskModel(SimStore::kRoot)};
    if (!Create(life)) return;
    GoOn(life, kSteps, /*reopens=*/true);
    if (violated_) return;
    if (rng_() % 2 == 0) (void)life.store.Close();
    Crash(life, kCutsOfHistory, 1);
  }

  // A short one; every `every`-th position of it. The catalog writes tables each time
  // that it is opened.
  void RunEveryPosition(std::uint64_t every, const Budget& budget) {
    Life life{DiskModel(SimStore::kRoot)};
    if (!Create(life)) return;
    for (std::uint64_t i = 0; i < kShortSteps; ++i) {
      if (i % 3 == 2) Reopen(life);
      if (violated_) return;
      GoOn(life, 1, /*reopens=*/false);
      if (violated_) return;
    }
    if (const Status closed = life.store.Close(); !closed.ok()) {
      return Violation("close: " + closed.ToString());
    }
    const std::vector<DiskOp> log = life.store.disk().log();
    DiskModel disk = life.store.disk().start();
    for (std::size_t position = 0; position <= log.size(); ++position) {
      if (position > 0) disk.Apply(log[position - 1]);
      if ((position + steps_.seed) % every != 0) continue;
      if (budget.OutOfTime()) return;
      place_ = ", killed at " + std::to_string(position);
      Look(disk, life, life.At(position), /*killed=*/true);
      if (violated_) return;
      place_ = ", power cut at " + std::to_string(position);
      Look(disk.AfterPowerCut(rng_), life, life.At(position), /*killed=*/false);
      if (violated_) return;
    }
  }

 private:
  bool Create(Life& life) {
    life.Note(Life::Mark::kBegun, 0);
    const Status opened = life.store.Open(/*create=*/true);
    if (!opened.ok()) {
      Violation("a new store: " + opened.ToString());
      return false;
    }
    life.states[0] = Model();
    life.Note(Life::Mark::kDurable, 0);
    life.store.Drain();
    return true;
  }

  void Violation(const std::string& text) {
    violated_ = true;
    report_.Violation("seed " + std::to_string(steps_.seed) + place_ + ": " + text);
  }

  // Commits until `n` more are done.
  void GoOn(Life& life, std::uint64_t n, bool reopens) {
    SimStore& store = life.store;
    const std::uint64_t end = store.sequence() + n;
    while (store.sequence() < end) {
      if (IsCompactedAfter(steps_, life.states.at(store.sequence()))) Compact(life);
      if (violated_) return;
      const std::uint64_t sequence = store.sequence();
      const Model& model = life.states.at(sequence);
      const Step step = StepAfter(steps_, model);
      Model after = After(model, step);
      life.Note(Life::Mark::kBegun, sequence + 1);
      const Status status = sim::Run(store.core(), model, step);
      if (!status.ok()) {
        return Violation("commit " + std::to_string(sequence + 1) + ": " + status.ToString());
      }
      life.Note(step.durable() ? Life::Mark::kDurable : Life::Mark::kAcked, sequence + 1);
      after.written_bytes = WrittenBytes(store.core());
      if (!after.written_bytes || after.written_bytes < model.written_bytes) {
        return Violation("the total of written bytes cannot be read, or fell");
      }
      life.states[sequence + 1] = std::move(after);
      store.Drain();
      if (reopens && rng_() % 12 == 0) Reopen(life);
      if (violated_) return;
    }
  }

  // Commits as often as it has to; each commit leaves what reads find as it is, and makes
  // all before it durable.
  void Compact(Life& life) {
    const std::uint64_t before = life.store.sequence();
    const std::size_t begun = life.marks.size();
    life.Note(Life::Mark::kBegun, before);
    const Status status = sim::Compact(life.store.core());
    if (!status.ok()) return Violation("compaction: " + status.ToString());
    const std::uint64_t after = life.store.sequence();
    for (std::uint64_t sequence = before + 1; sequence <= after; ++sequence) {
      life.states[sequence] = Compacted(life.states.at(before), sequence);
      // Only the removal of what has expired counts as written, and it came first.
      life.states[sequence].written_bytes = WrittenBytes(life.store.core());
    }
    life.marks[begun].sequence = static_cast<std::int64_t>(after);
    if (after > before) life.Note(Life::Mark::kDurable, after);
    life.store.Drain();
  }

  void Reopen(Life& life) {
    const std::uint64_t sequence = life.store.sequence();
    const Status closed = life.store.Close();
    if (!closed.ok()) return Violation("close: " + closed.ToString());
    life.Note(Life::Mark::kDurable, sequence);
    const Status opened = life.store.Open(/*create=*/false);
    if (!opened.ok()) return Violation("reopen: " + opened.ToString());
    life.store.Drain();
    Compare(life, sequence);
  }

  void Compare(Life& life, std::uint64_t sequence) {
    const std::string difference =
        Difference(life.store.core(), life.states.at(sequence), &report_.rows);
    if (!difference.empty()) Violation(difference);
  }

  // Ends a life at `cuts` places.
  void Crash(const Life& life, std::uint64_t cuts, int crashes) {
    const std::vector<DiskOp> log = const_cast<Life&>(life).store.disk().log();
    std::multiset<std::size_t> positions;
    for (std::uint64_t i = 0; i < cuts; ++i) positions.insert(rng_() % (log.size() + 1));
    DiskModel disk = const_cast<Life&>(life).store.disk().start();
    std::size_t applied = 0;
    const std::string place = place_;
    for (const std::size_t position : positions) {
      while (applied < position) disk.Apply(log[applied++]);
      const bool kill = rng_() % 6 == 0;
      place_ = place + (kill ? ", killed at " : ", power cut at ") + std::to_string(position);
      Recover(kill ? disk : disk.AfterPowerCut(rng_), life, life.At(position), kill, crashes);
      if (violated_) return;
    }
    place_ = place;
  }

  // Opens a store as a crash left it and compares all of it.
  void Look(DiskModel disk, const Life& past, Bounds bounds, bool killed) {
    Life life(std::move(disk));
    Enter(life, past, bounds, killed);
  }

  void Enter(Life& life, const Life& past, Bounds bounds, bool killed) {
    ++report_.states;
    const Status opened = life.store.Open(/*create=*/bounds.acked < 0);
    if (!opened.ok()) return Violation("open: " + opened.ToString());
    const std::uint64_t sequence = life.store.sequence();
    const auto found = static_cast<std::int64_t>(sequence);
    const std::int64_t least = std::max<std::int64_t>(0, killed ? bounds.acked : bounds.durable);
    if (found < least || found > bounds.begun) {
      return Violation("sequence " + std::to_string(sequence) + " after recovery, expected " +
                       std::to_string(least) + " to " + std::to_string(bounds.begun));
    }
    // What was lost was never promised. What is there is seen from now on, but only a
    // synced commit promises that a power cut does not undo it.
    life.before = {bounds.durable, killed ? bounds.acked : bounds.durable, found};
    life.Note(bounds.acked < 0 ? Life::Mark::kDurable : Life::Mark::kAcked, sequence);
    life.states.insert(past.states.begin(), past.states.upper_bound(sequence));
    life.store.Drain();
    Compare(life, sequence);
  }

  void Recover(DiskModel disk, const Life& past, Bounds bounds, bool killed, int crashes) {
    Life life(std::move(disk));
    Enter(life, past, bounds, killed);
    if (violated_) return;
    GoOn(life, rng_() % (kStepsAfterCrash + 1), /*reopens=*/false);
    if (violated_) return;
    Compare(life, life.store.sequence());
    if (!violated_ && crashes < kMaxCrashes && rng_() % 3 == 0) Crash(life, 2, crashes + 1);
  }

  const StepOptions steps_;
  Rng rng_;
  Report& report_;
  bool violated_ = false;
  std::string place_;
};

}  // namespace

Report PowerCuts(const HarnessOptions& options) {
  Report report;
  const Budget budget(options);
  for (std::uint64_t seed = options.seed; !budget.Spent(report); ++seed) {
    ++report.histories;
    History(seed, report).Run();
  }
  return report;
}

Report EveryPosition(const HarnessOptions& options) {
  Report report;
  const Budget budget(options);
  for (std::uint64_t seed = options.seed; report.histories < options.count; ++seed) {
    if (budget.OutOfTime()) break;
    ++report.histories;
    History(seed, report).RunEveryPosition(options.every, budget);
  }
  return report;
}

}  // namespace quarry::sim
