#include "tests/sim/faults.h"

#include <array>
#include <utility>

#include "tests/sim/history.h"
#include "tests/sim/sim_store.h"

namespace quarry::sim {
namespace {

constexpr std::uint64_t kSteps = 7;
constexpr std::uint64_t kReopenAfter = 4;
constexpr std::uint64_t kStepsOfFullDisks = 400;

constexpr std::array kKinds = {Fault::Kind::kIoError, Fault::Kind::kNoSpace,
                               Fault::Kind::kShortIoError, Fault::Kind::kShortNoSpace,
                               Fault::Kind::kReadError};
static_assert(kKinds.size() == kFaultKinds);
constexpr std::array kKindNames = {"EIO", "ENOSPC", "short write, EIO", "short write, ENOSPC",
                                   "EIO of a read"};

// What the store may hold, as acknowledged so far.
struct Known {
  bool created = false;                   // Open returned
  Model acked;                            // with every commit that was acknowledged
  Model begun;                            // and with one whose outcome is unknown; else as acked
  std::uint64_t durable = 0;              // the newest acknowledged commit with sync
  std::map<std::uint64_t, Model> states;  // by sequence
};

class Script {
 public:
  Script(const StepOptions& steps, std::string place, Report& report)
      : steps_(steps), place_(std::move(place)), report_(report) {}

  // Runs with a fault or a capacity set before. False: there was nothing to fail.
  bool Run(const Fault& fault) {
    disk().SetFault(fault);
    ReachEnd(kSteps, kReopenAfter);
    const bool fired = disk().fault_fired();
    disk().SetFault({});
    if (fired && !violated_) CheckAfter();
    return fired;
  }

  void FillDisk(std::uint64_t capacity, std::uint64_t reserve) {
    store_.set_reserve(reserve);
    disk().SetCapacity(capacity);
    ReachEnd(kStepsOfFullDisks, kStepsOfFullDisks / 3);
    if (violated_) return;
    // Opening needs space, too: an error says so.
    store_.Abandon();
    (void)store_.Open(/*create=*/false);
    store_.Abandon();
    disk().SetCapacity(std::uint64_t{1} << 40);
    CheckAfter();
  }

 private:
  SimDisk& disk() { return store_.disk(); }

  void Violation(const std::string& text) {
    violated_ = true;
    report_.Violation(place_ + " (" + disk().failed_call() + "): " + text);
  }

  static bool IsHonest(const Status& status) {
    return status.code() == StatusCode::kIoError || status.code() == StatusCode::kNoSpace ||
           status.code() == StatusCode::kReadOnly;
  }

  // Whether the store is open.
  bool Open(bool create) {
    disk().ForgetFailedSync();  // of the store that was open before
    const Status opened = store_.Open(create);
    // RocksDB takes a CURRENT that cannot be read for a bad option.
    const bool unreadable = opened.code() == StatusCode::kCorruption &&
                            opened.message().find("Invalid argument") != std::string::npos;
    if (!opened.ok() && !IsHonest(opened) && !unreadable) {
      Violation("open: " + opened.ToString());
    }
    if (opened.ok()) known_.created = true;
    return opened.ok();
  }

  // Commits until all are done or the store takes no more.
  void ReachEnd(std::uint64_t steps, std::uint64_t reopen_after) {
    known_.states[0] = Model();
    if (!Open(/*create=*/true)) return;
    for (std::uint64_t i = 0; i < steps && !violated_; ++i) {
      if (IsCompactedAfter(steps_, known_.acked) && !Compact()) return;
      if (violated_ || !Commit()) return;
      store_.Drain();
      if (i + 1 != reopen_after) continue;
      const Status closed = store_.Close();
      if (!closed.ok() && !IsHonest(closed)) Violation("close: " + closed.ToString());
      if (closed.ok()) known_.durable = known_.acked.sequence;
      if (!Open(/*create=*/false)) return;
    }
  }

  // Whether the store takes more commits.
  bool Commit() {
    const bool failed_before = disk().sync_failed();
    const Step step = StepAfter(steps_, known_.acked);
    Model after = After(known_.acked, step);
    const Status status = sim::Run(store_.core(), known_.acked, step);
    if (status.ok()) {
      // Of RocksDB's threads one may have failed meanwhile: the next write sees to that.
      if (failed_before) Violation("a write after a failed sync succeeds");
      Acknowledge(std::move(after), step);
      return !violated_;
    }
    if (!IsHonest(status)) Violation("commit: " + status.ToString());
    if (store_.sequence() != known_.acked.sequence) Violation("a write that failed is visible");
    const bool unknown = status.outcome() == Outcome::kUnknown;
    if (unknown) {
      known_.states[after.sequence] = after;
      known_.begun = std::move(after);
    }
    if (unknown || disk().sync_failed()) {
      ExpectReadOnly(step);
      return false;
    }
    return status.code() == StatusCode::kNoSpace || status.code() == StatusCode::kIoError
               ? ++refused_ < kMaxRefused
               : false;
  }

  // Whether the store takes more commits. Those of a compaction leave the records as they
  // are: some may be there when it fails.
  bool Compact() {
    const bool failed_before = disk().sync_failed();
    const std::uint64_t before = known_.acked.sequence;
    const Status status = sim::Compact(store_.core());
    const std::uint64_t after = store_.sequence();
    for (std::uint64_t sequence = before + 1; sequence <= after + 1; ++sequence) {
      known_.states[sequence] = Compacted(known_.acked, sequence);
    }
    if (after > before) {
      known_.durable = after;
      known_.begun = known_.acked = Compacted(known_.acked, after);
    }
    store_.Drain();
    if (status.ok()) {
      if (failed_before && after > before) Violation("a compaction after a failed sync commits");
      return !violated_;
    }
    // A block that cannot be read counts as damaged.
    const bool unreadable = status.code() == StatusCode::kCorruption &&
                            status.message().find("(simulated): I/O error") != std::string::npos;
    if (!IsHonest(status) && !unreadable) Violation("compaction: " + status.ToString());
    const bool unknown = status.outcome() == Outcome::kUnknown;
    if (unknown) ++known_.begun.sequence;
    if (unknown || disk().sync_failed()) {
      ExpectReadOnly(StepAfter(steps_, known_.acked));
      return false;
    }
    return status.code() != StatusCode::kReadOnly;
  }

  void Acknowledge(Model after, const Step& step) {
    known_.states[after.sequence] = after;
    if (step.durable()) known_.durable = after.sequence;
    known_.begun = after;
    known_.acked = std::move(after);
  }

  void ExpectReadOnly(const Step& step) {
    disk().SetFault({});
    const std::uint64_t capacity_for_all = std::uint64_t{1} << 40;
    disk().SetCapacity(capacity_for_all);
    const Status status = sim::Run(store_.core(), known_.acked, step);
    if (status.code() != StatusCode::kReadOnly) {
      Violation("a write after a failed sync or an unknown outcome says " + status.ToString());
    }
  }

  // Without faults: the store as a new process finds it, and as a power cut leaves it.
  void CheckAfter() {
    Rng rng(steps_.seed + disk().log_size());
    CheckPowerCut(rng);
    if (violated_) return;
    store_.Abandon();
    if (!Reopened(store_, known_.acked.sequence, "reopen")) return;
    // On with it: what is acknowledged now must not rest on what a failed sync lost.
    for (int i = 0; i < 2; ++i) {
      const std::uint64_t sequence = store_.sequence();
      known_.acked = known_.begun = known_.states.at(sequence);
      Step step = StepAfter(steps_, known_.acked);
      step.sync = true;
      Model after = After(known_.acked, step);
      const Status status = sim::Run(store_.core(), known_.acked, step);
      if (!status.ok()) return Violation("a write after reopening: " + status.ToString());
      Acknowledge(std::move(after), step);
    }
    CheckPowerCut(rng);
  }

  void CheckPowerCut(Rng& rng) {
    if (violated_) return;
    SimStore after(disk().Now().AfterPowerCut(rng));
    (void)Reopened(after, known_.durable, "power cut");
  }

  bool Reopened(SimStore& store, std::uint64_t least, const std::string& when) {
    ++report_.states;
    const Status opened = store.Open(/*create=*/!known_.created);
    if (!opened.ok()) {
      Violation(when + ": open: " + opened.ToString());
      return false;
    }
    const std::uint64_t sequence = store.sequence();
    if (sequence < least || sequence > known_.begun.sequence) {
      Violation(when + ": sequence " + std::to_string(sequence) + ", expected " +
                std::to_string(least) + " to " + std::to_string(known_.begun.sequence));
      return false;
    }
    const std::string difference =
        Difference(store.core(), known_.states.at(sequence), &report_.rows);
    if (!difference.empty()) Violation(when + ": " + difference);
    return !violated_;
  }

  static constexpr int kMaxRefused = 3;

  const StepOptions steps_;
  const std::string place_;
  Report& report_;
  SimStore store_;
  Known known_;
  int refused_ = 0;
  bool violated_ = false;
};

}  // namespace

Report Faults(const HarnessOptions& options) {
  Report report;
  Budget budget(options);
  for (std::uint64_t seed = options.seed; report.histories < options.count; ++seed) {
    ++report.histories;
    const StepOptions steps{.seed = seed, .relaxed_percent = 25};
    for (std::size_t kind = 0; kind < kKinds.size(); ++kind) {
      if (options.kind >= 0 && kind != static_cast<std::size_t>(options.kind)) continue;
      for (const bool all_after : {false, true}) {
        for (std::uint64_t n = 1 + seed % options.every;; n += options.every) {
          if (budget.Ended(report)) return report;
          const std::string place = "seed " + std::to_string(seed) + ", call " + std::to_string(n) +
                                    (all_after ? " and all after it: " : ": ") + kKindNames[kind];
          Script script(steps, place, report);
          if (!script.Run({kKinds[kind], n, all_after})) break;
        }
      }
    }
  }
  return report;
}

Report FullDisks(const HarnessOptions& options) {
  Report report;
  Budget budget(options);
  for (std::uint64_t seed = options.seed; report.histories < options.count; ++seed) {
    if (budget.Ended(report)) return report;
    ++report.histories;
    Rng rng(seed);
    const StepOptions steps{.seed = seed, .relaxed_percent = 25};
    const std::uint64_t capacity = 100'000 + rng() % 3'000'000;
    // With a reserve writes are refused in time; without one they fail in the middle.
    const std::uint64_t reserve = rng() % 3 == 0 ? 300'000 : 0;
    const std::string place =
        "seed " + std::to_string(seed) + ", disk of " + std::to_string(capacity) + " bytes";
    Script(steps, place, report).FillDisk(capacity, reserve);
  }
  return report;
}

}  // namespace quarry::sim
