#include "tests/stress/lap.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <thread>
#include <utility>

#include "tests/stress/lake.h"
#include "tests/temp_dir.h"

namespace quarry::testing_support {
namespace {

// What one thread does, kept for the comparison after a round.
struct Worker {
  explicit Worker(std::uint64_t seed) : random(seed) {}

  Random random;
  std::vector<Written> written;
  std::vector<Read> reads;
  std::vector<std::shared_ptr<const Snapshot>> snapshots;  // held, also beyond a round
  std::vector<std::string> faults;
  std::uint64_t verified = 0;
  std::uint64_t compacted = 0;
  std::uint64_t pca = 0;
};

constexpr std::size_t kMostReads = 1500;  // of one reader in a round

void WriteMany(Lake& lake, Worker& worker, std::size_t writes) {
  for (std::size_t i = 0; i < writes; ++i) {
    worker.written.push_back(WriteOnce(lake, worker.random));
    // A read by the writer itself, which must see what it wrote.
    if (i % 8 == 0) worker.reads.push_back(ReadOnce(lake, nullptr, worker.random));
  }
}

// The first sight of a newer state than that of `commit`, if one comes soon.
Result<std::shared_ptr<const Snapshot>> FreshSnapshot(const Store& store, std::uint64_t commit) {
  auto snapshot = store.GetSnapshot();
  for (int i = 0; i < 2000 && snapshot.ok() && (*snapshot)->sequence() == commit; ++i) {
    snapshot = store.GetSnapshot();
  }
  return snapshot;
}

void ReadMany(Lake& lake, Worker& worker, const std::atomic<bool>& done) {
  while (!done && worker.reads.size() < kMostReads) {
    if (Below(worker.random, 4) == 0) {
      worker.reads.push_back(ReadOnce(lake, nullptr, worker.random));
      continue;
    }
    // Three are held: one for long, the others for some reads.
    auto& held = worker.snapshots;
    const bool renew = held.size() < 3 || Below(worker.random, 3) == 0;
    if (renew) {
      auto snapshot = FreshSnapshot(lake.store(), lake.Now());
      if (!snapshot.ok()) {
        worker.faults.push_back("GetSnapshot: " + snapshot.status().ToString());
        return;
      }
      if (held.size() >= 3) {
        const std::size_t oldest = Below(worker.random, 200) == 0 ? 0 : 1;
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(oldest));
      }
      held.push_back(std::move(*snapshot));
    }
    const auto snapshot = renew ? held.back() : held[Below(worker.random, held.size())];
    worker.reads.push_back(ReadOnce(lake, snapshot, worker.random));
  }
}

void Verify(const Store& store, bool quick, Worker& worker) {
  const auto report = store.Verify({.quick = quick});
  if (!report.ok()) worker.faults.push_back("Verify: " + report.status().ToString());
  if (report.ok() && !report->ok()) {
    const Damage& damage = report->damages.front();
    worker.faults.push_back("Verify: " + damage.file + ": " + damage.text);
  }
  ++worker.verified;
}

// All that is neither a read nor a write, one after the other while others work.
void ChangeAllElse(Lake& lake, bool compacts, Worker& worker) {
  constexpr SketchPolicy kPolicies[] = {SketchPolicy::kNone, SketchPolicy::kI8, SketchPolicy::kAuto,
                                        SketchPolicy::kPca};
  const auto expect = [&](const char* what, const Status& status) {
    if (!status.ok()) worker.faults.push_back(std::string(what) + ": " + status.ToString());
  };
  for (int i = 0; i < 4; ++i) {
    expect("pond", lake.has_pond() ? lake.DropPond() : lake.CreatePond());
    Collection collection = lake.At(Below(worker.random, Lake::kStay)).handle;
    expect("SetSketches", collection.SetSketches(kPolicies[Below(worker.random, 4)]));
    const auto info = lake.At(1).handle.Info();
    expect("Info", info.status());
    if (info.ok()) {
      worker.pca += static_cast<std::uint64_t>(std::count_if(
          info->slabs.begin(), info->slabs.end(), [](const SlabInfo& slab) { return slab.pca; }));
    }
    Verify(lake.store(), i % 2 == 0, worker);
    if (compacts) {
      const double share = i % 2 == 0 ? 0 : 0.2;
      const auto compacted = lake.store().Compact({.max_dead_share = share, .erase = i == 2});
      // Readers hold snapshots, whose records cannot be erased.
      if (compacted.status().code() != StatusCode::kBusy) expect("Compact", compacted.status());
      if (compacted.ok()) worker.compacted += compacted->slabs_read;
    }
    if (i == 3) expect("Sync", lake.store().Sync());
  }
}

class Lap {
 public:
  Lap(const LapOptions& options, Figures& figures) : options_(options), figures_(figures) {}

  void Run() {
    auto store = Store::Open(directory_ / "store", StoreOptions());
    if (!store.ok()) return Fault("Open: " + store.status().ToString());
    {
      Lake lake(**store, history_);
      Random seeds(options_.seed);
      for (std::size_t i = 0; i < options_.writers + options_.readers + 1; ++i)
        workers_.emplace_back(seeds());
      Fill(lake);
      // Pca sketches are of slabs that compactions would soon replace: first without.
      (*store)->PauseCompaction();
      for (std::size_t i = 0; i < options_.rounds && figures_.violations.empty(); ++i) {
        const bool compacts = 2 * i >= options_.rounds;
        if (compacts) (*store)->ResumeCompaction();
        Round(lake, compacts);
        Compare(lake);
      }
    }
    workers_.clear();  // and the snapshots that they hold
    Expect("Close", (*store)->Close());
    store->reset();
    CompareReopened();
    figures_.compared += history_.compared();
  }

 private:
  static OpenOptions StoreOptions() {
    OpenOptions options;
    options.create_if_missing = true;
    options.threads = 2;
    options.slab_bytes = 1u << 20;
    options.sync_delay = std::chrono::milliseconds(20);
    return options;
  }

  void Fault(std::string text) {
    if (!text.empty()) figures_.violations.push_back(std::move(text));
  }
  void Expect(const char* what, const Status& status) {
    if (!status.ok()) Fault(std::string(what) + ": " + status.ToString());
  }

  // Leaves "right" in a slab of 6,400 rows that is soon full and so gets a pca sketch;
  // some records of it stay, since the writers have other ids.
  void Fill(Lake& lake) {
    Worker& worker = workers_.back();
    for (std::size_t i = 0; i < 264; ++i)
      worker.written.push_back(FillOnce(lake, 1, 0, 48, worker.random));
    worker.written.push_back(FillOnce(lake, 1, 1000, 16, worker.random));
  }

  void Round(Lake& lake, bool compacts) {
    std::atomic<bool> done = false;
    std::vector<std::thread> writers, readers;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      Worker& worker = workers_[i];
      if (i < options_.readers) {
        readers.emplace_back([&] { ReadMany(lake, worker, done); });
      } else if (i < options_.readers + options_.writers) {
        writers.emplace_back([&] { WriteMany(lake, worker, options_.writes); });
      } else {
        writers.emplace_back([&] { ChangeAllElse(lake, compacts, worker); });
      }
    }
    for (std::thread& thread : writers) thread.join();
    done = true;
    for (std::thread& thread : readers) thread.join();
  }

  void Compare(Lake& lake) {
    lake.Report(history_);
    std::vector<const Written*> commits;
    for (const Worker& worker : workers_) {
      for (const Written& written : worker.written) {
        if (written.changed()) commits.push_back(&written);
      }
    }
    std::sort(commits.begin(), commits.end(), [](const Written* a, const Written* b) {
      return a->result.sequence < b->result.sequence;
    });
    for (const Written* written : commits) Fault(history_.Apply(*written));
    figures_.commits += commits.size();
    std::uint64_t oldest = lake.Now();
    for (Worker& worker : workers_) {
      CompareAnswers(worker);
      for (const auto& snapshot : worker.snapshots) oldest = std::min(oldest, snapshot->sequence());
    }
    history_.Forget(oldest);
  }

  void CompareAnswers(Worker& worker) {
    for (const Written& written : worker.written) {
      if (written.changed()) continue;
      Fault(history_.CheckUnchanged(written));
      figures_.refused += !written.status.ok();
    }
    for (const Read& read : worker.reads) {
      Fault(history_.Check(read));
      ++(read.kind == Read::Kind::kSearch ? figures_.searches : figures_.reads);
      figures_.sketched += read.stats.i8_planes > 0;
    }
    for (std::string& fault : worker.faults) Fault(std::move(fault));
    figures_.verified += std::exchange(worker.verified, 0);
    figures_.compacted += std::exchange(worker.compacted, 0);
    figures_.pca += std::exchange(worker.pca, 0);
    worker.faults.clear();
    worker.written.clear();
    worker.reads.clear();
  }

  void CompareReopened() {
    const auto store = Store::Open(directory_ / "store", StoreOptions());
    if (!store.ok()) return Fault("Open again: " + store.status().ToString());
    for (std::size_t c = 0; c < Lake::kStay; ++c) {
      const std::string name = c == 0 ? "left" : "right";
      const auto collection = (*store)->GetCollection(name);
      if (!collection.ok()) return Fault("reopened: " + collection.status().ToString());
      ScrollOptions all{.limit = 1000, .with = {.metadata = true, .vector = true}};
      auto page = collection->Scroll(all);
      if (!page.ok()) return Fault("reopened: " + page.status().ToString());
      std::map<Id, Reference::Entry> records;
      for (Record& record : *page) {
        records[record.id] = {std::move(record.vector), std::move(record.metadata)};
      }
      if (records != history_.Newest(c).records) Fault(name + ": other records when reopened");
    }
    Worker last(0);
    Verify(**store, /*quick=*/false, last);
    for (std::string& fault : last.faults) Fault(std::move(fault));
    Expect("Close again", (*store)->Close());
  }

  const LapOptions options_;
  Figures& figures_;
  TempDir directory_;
  History history_;
  std::vector<Worker> workers_;
};

}  // namespace

void RunLap(const LapOptions& options, Figures& figures) { Lap(options, figures).Run(); }

}  // namespace quarry::testing_support
