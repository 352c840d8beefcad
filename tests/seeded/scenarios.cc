#include "tests/seeded/scenarios.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "storage/vfs.h"
#include "tests/engine/gated_vfs.h"
#include "tests/sim/sim_store.h"
#include "tests/temp_dir.h"

namespace quarry::sim {
namespace {

constexpr std::size_t kDim = 700;  // rows of several sectors

// A new store with one collection.
class Lake {
 public:
  explicit Lake(Report& report) : report_(report) {
    const Status opened = store_.Open(/*create=*/true);
    if (!opened.ok()) {
      report_.Violation("a new store: " + opened.ToString());
      return;
    }
    const auto view =
        store_.core()->CreateCollection("lake", {.dim = kDim, .metric = Metric::kDot});
    if (!view.ok()) report_.Violation("a new collection: " + view.status().ToString());
  }

  SimStore& store() { return store_; }

  Collection Handle() {
    const auto view = (*store_.core()->StateFor(nullptr))->Find("lake");
    return Collection(store_.core(), view->number, view->name, view->schema);
  }

  // One record, whose vector has its number in all places.
  static Status Insert(Collection lake, std::uint64_t number, bool sync = true) {
    const std::vector<float> row(kDim, static_cast<float>(number));
    const std::vector<Id> ids{Id(number)};
    return lake.Insert({.ids = ids, .vectors = {row.data(), 1, kDim}}, {.sync = sync}).status();
  }
  void MustInsert(std::uint64_t number, bool sync = true) {
    const Status status = Insert(Handle(), number, sync);
    if (!status.ok()) report_.Violation("an insert: " + status.ToString());
  }

 private:
  Report& report_;
  SimStore store_;
};

// As the disk is now, but the catalog as it was `position` calls after the start.
DiskModel WithOldCatalog(const SimDisk& disk, std::size_t position) {
  const std::string catalog = std::string(SimStore::kRoot) + "/store/catalog/";
  const std::vector<DiskOp> log = disk.log();
  DiskModel mixed = disk.start();
  std::set<std::uint64_t> of_catalog;  // inodes
  for (std::size_t i = 0; i < log.size(); ++i) {
    const DiskOp& op = log[i];
    const bool by_name = (op.path + "/").starts_with(catalog);
    if (by_name && op.inode != 0) of_catalog.insert(op.inode);
    if (i < position || !(by_name || of_catalog.contains(op.inode))) mixed.Apply(op);
  }
  return mixed;
}

void ExpectDataLoss(const SimDisk& disk, std::size_t position, const char* when, Report& report) {
  SimStore old(WithOldCatalog(disk, position));
  const Status opened = old.Open(/*create=*/false);
  ++report.states;
  if (opened.code() == StatusCode::kDataLoss) return;
  report.Violation(std::string("a catalog that lost commits ") + when + ": open says " +
                   opened.ToString());
}

// A write to a store just opened, and power that fails then.
std::string WriteIsLost(SimStore& store, Rng& rng) {
  Status status = store.core()->CreateCollection("pond", {.dim = 1}).status();
  SimStore after(store.disk().Now().AfterPowerCut(rng));
  if (status.ok()) status = after.Open(/*create=*/false);
  if (!status.ok()) return status.ToString();
  return (*after.core()->StateFor(nullptr))->Find("pond") == nullptr ? "a commit is lost" : "";
}

// Opens the store of `disk`, or makes it, and ends that behind each change of the names
// FORMAT and WITNESS, so many times one after the other; then writes to what is left.
void EndAndGoOn(const DiskModel& disk, int ends, Rng& rng, Report& report) {
  constexpr int kPowerCuts = 2;
  const auto is_of_interest = [](const std::string& path) {
    const std::string store = std::string(SimStore::kRoot) + "/store/";
    return path.starts_with(store + "FORMAT") || path == store + "WITNESS";
  };
  SimStore store(disk);
  ++report.states;
  const Status opened = store.Open(/*create=*/true);
  const std::vector<DiskOp> log = store.disk().log();
  const std::string lost = opened.ok() ? WriteIsLost(store, rng) : opened.ToString();
  if (!lost.empty()) report.Violation("after ends while it was opened: " + lost);
  if (ends == 0) return;
  DiskModel now = disk;
  for (const DiskOp& op : log) {
    now.Apply(op);
    if (!is_of_interest(op.path)) continue;
    for (int cut = 0; cut <= kPowerCuts && report.violations == 0; ++cut) {
      EndAndGoOn(cut == 0 ? now : now.AfterPowerCut(rng), ends - 1, rng, report);
    }
  }
}

}  // namespace

Report Groups(const HarnessOptions& /*options*/) {
  Report report;
  report.histories = report.states = 1;
  const testing_support::TempDir directory;
  testing_support::GatedVfs vfs;
  OpenOptions options;
  options.create_if_missing = true;
  options.background = false;
  const auto core = StoreCore::Open(vfs, directory / "store", options);
  const auto view = core.ok()
                        ? (*core)->CreateCollection("lake", {.dim = kDim})
                        : Result<std::shared_ptr<const engine::CollectionView>>(core.status());
  if (!view.ok()) {
    report.Violation("a new store: " + view.status().ToString());
    return report;
  }
  const Collection lake(*core, (*view)->number, (*view)->name, (*view)->schema);
  const Status first = Lake::Insert(lake, 1);
  if (!first.ok()) report.Violation("an insert: " + first.ToString());
  // The rest get in line behind one that is held while it is synced.
  const std::size_t syncs = vfs.syncs();
  vfs.Hold();
  std::atomic<int> acknowledged = 0;
  std::vector<std::thread> writers;
  for (std::uint64_t writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      if (Lake::Insert(lake, writer == 0 ? 2 : 3).ok() && writer > 0) ++acknowledged;
    });
    if (writer == 0) vfs.WaitForSyncs(syncs + 1);
    while ((*core)->writes_in_line() != writer + 1) std::this_thread::yield();
  }
  vfs.Release();
  for (std::thread& writer : writers) writer.join();
  if (acknowledged != 1) {
    report.Violation(std::to_string(acknowledged) + " inserts of one id were acknowledged");
  }
  return report;
}

Report OldCatalogs(const HarnessOptions& /*options*/) {
  Report report;
  report.histories = 1;
  Lake lake(report);
  SimDisk& disk = lake.store().disk();
  lake.MustInsert(1);
  std::size_t position = disk.log_size();
  for (std::uint64_t id = 2; id < 6; ++id) lake.MustInsert(id);
  ExpectDataLoss(disk, position, "with rows", report);
  // Rows do not tell of these.
  position = disk.log_size();
  for (std::uint64_t id = 1; id < 4; ++id) {
    const std::vector<Id> ids{Id(id)};
    const auto deleted = lake.Handle().Delete(ids);
    if (!deleted.ok()) report.Violation("a deletion: " + deleted.status().ToString());
  }
  const Status closed = lake.store().Close();
  if (!closed.ok()) report.Violation("close: " + closed.ToString());
  ExpectDataLoss(disk, position, "without rows", report);
  return report;
}

Report TornBehindDurable(const HarnessOptions& options) {
  constexpr int kPowerCuts = 60;
  Report report;
  report.histories = 1;
  Lake lake(report);
  lake.MustInsert(1, /*sync=*/false);
  lake.MustInsert(2, /*sync=*/true);
  lake.MustInsert(3, /*sync=*/false);
  Rng rng(options.seed);
  for (int i = 0; i < kPowerCuts && report.violations == 0; ++i) {
    SimStore after(lake.store().disk().Now().AfterPowerCut(rng));
    ++report.states;
    const Status opened = after.Open(/*create=*/false);
    const std::uint64_t records =
        opened.ok() ? (*after.core()->StateFor(nullptr))->Find("lake")->records : 0;
    if (records >= 2) continue;
    report.Violation("power cut " + std::to_string(i) + ": " + std::to_string(records) +
                     " records, expected 2 at least; open says " + opened.ToString());
  }
  return report;
}

Report EachCall(const HarnessOptions& options) {
  constexpr int kPowerCuts = 2;  // behind each change of a name
  constexpr int kPowerCutsOfRename = 16;
  Report report;
  report.histories = 1;
  Lake lake(report);
  lake.MustInsert(1);
  Status status = lake.store().Close();
  if (status.ok()) status = lake.store().Open(/*create=*/false);
  if (status.ok()) status = lake.store().core()->DropCollection("lake");
  if (!status.ok()) {
    report.Violation("without power cuts: " + status.ToString());
    return report;
  }
  const SimDisk& disk = lake.store().disk();
  const std::vector<DiskOp> log = disk.log();
  DiskModel now = disk.start();
  Rng rng(options.seed);
  for (std::size_t i = 0; i < log.size() && report.violations == 0; ++i) {
    now.Apply(log[i]);
    if (log[i].path.empty()) continue;
    const int cuts = log[i].kind == DiskOp::Kind::kRename ? kPowerCutsOfRename : kPowerCuts;
    for (int cut = 0; cut <= cuts && report.violations == 0; ++cut) {
      SimStore store(cut == 0 ? now : now.AfterPowerCut(rng));
      ++report.states;
      const Status opened = store.Open(/*create=*/true);
      if (!opened.ok()) {
        report.Violation("ended at " + std::to_string(i) + ": " + opened.ToString());
      }
    }
  }
  return report;
}

Report TwoEnds(const HarnessOptions& options) {
  Report report;
  report.histories = 1;
  Rng rng(options.seed);
  EndAndGoOn(DiskModel(SimStore::kRoot), /*ends=*/2, rng, report);
  return report;
}

Report UnknownFiles(const HarnessOptions& /*options*/) {
  Report report;
  report.histories = 1;
  for (std::uint64_t n = 1; report.violations == 0; ++n) {
    Lake lake(report);
    SimStore& store = lake.store();
    store.disk().SetFault({Fault::Kind::kIoError, n, /*all_after=*/false});
    const Status status = Lake::Insert(lake.Handle(), 1);
    if (!store.disk().fault_fired()) break;
    store.disk().SetFault({});
    store.Abandon();
    ++report.states;
    const Status opened = store.Open(/*create=*/false);
    if (!opened.ok()) {
      report.Violation("call " + std::to_string(n) + " failed, the write said " +
                       status.ToString() + "; open: " + opened.ToString());
    }
  }
  return report;
}

Report ShortWrites(const HarnessOptions& /*options*/) {
  constexpr std::uint64_t kLimit = 4096;
  Report report;
  report.histories = report.states = 1;
  const testing_support::TempDir directory;
  auto file = storage::Vfs::Posix().OpenFile(directory / "file", storage::Vfs::Open::kCreate);
  if (!file.ok()) {
    report.Violation(file.status().ToString());
    return report;
  }
  // Beyond the limit a write is short; the next one would be a signal.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = kLimit;
  ::setrlimit(RLIMIT_FSIZE, &limit);
  const std::vector<std::byte> bytes(2 * kLimit);
  if ((*file)->WriteAt(0, bytes).ok()) report.Violation("a short write says that it wrote all");
  return report;
}

}  // namespace quarry::sim
