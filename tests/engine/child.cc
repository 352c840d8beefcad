#include "tests/engine/child.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "format/status_macros.h"
#include "quarry/store.h"
#include "tests/engine/crash_history.h"

namespace quarry::testing_support {
namespace {

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::abort();
}

int OpenStore(const std::string& path, bool read_only) {
  OpenOptions options;
  options.read_only = read_only;
  return static_cast<int>(Store::Open(path, options).status().code());
}

// Writes records of 300 kB of metadata, 1, 2, ..., into collection "lake" until
// the log of the catalog has reached the limit of this process. Prints the number
// of the record that failed, its code and outcome, and the code of a later write.
int WriteUntilFull(const std::string& path) {
  ::signal(SIGXFSZ, SIG_IGN);  // the limit is an error then, as a full disk is
  const rlimit limit{2u << 20, 2u << 20};
  if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) Die("setrlimit");
  const auto store = Store::Open(path);
  if (!store.ok()) return 1;
  auto lake = (*store)->GetCollection("lake");
  if (!lake.ok()) return 1;
  const std::string text = "{\"text\":\"" + std::string(300'000, 'x') + "\"}";
  const std::string_view metadata = text;
  for (std::uint64_t i = 1;; ++i) {
    const Id id(i);
    const Records record{.ids = {&id, 1}, .vectors = {}, .metadata = {&metadata, 1}};
    const Status status = lake->Upsert(record).status();
    if (status.ok()) continue;
    std::printf("%d\n%d\n%d\n%d\n", static_cast<int>(i), static_cast<int>(status.code()),
                static_cast<int>(status.outcome()),
                static_cast<int>(lake->Upsert(record).status().code()));
    return 0;
  }
}

int WriteAndPublish(const std::string& path) {
  OpenOptions options = CrashHistory::Options();
  options.publish_interval = std::chrono::milliseconds(2);
  return CrashHistory::WriteUntilKilled(path, options);
}

// Says the number of each checkpoint before and after it.
int WriteAndCheckpoint(const std::string& path) {
  const auto store = Store::Open(path, CrashHistory::Options());
  if (!store.ok()) return 1;
  const auto info = (*store)->Info();
  if (!info.ok()) return 1;
  for (std::uint64_t n = 1;; ++n) {
    if (!CrashHistory::Write(**store, info->sequence + n).ok()) return 1;
    std::printf("begin %d\n", static_cast<int>(n));
    std::fflush(stdout);
    if (!(*store)->Checkpoint(path + "-copy-" + std::to_string(n)).ok()) return 1;
    std::printf("done %d\n", static_cast<int>(n));
    std::fflush(stdout);
  }
}

int ReadUntilKilled(const std::string& path) {
  const auto store = Store::OpenPublished(path);
  if (!store.ok()) return 1;
  std::printf("%d\n", static_cast<int>((*store)->Info()->sequence));
  std::fflush(stdout);
  ::pause();
  return 0;
}

constexpr std::size_t kMany = 1000;
constexpr std::size_t kManyDim = 64;

Result<std::vector<Collection>> OpenMany(Store& store) {
  std::vector<Collection> collections;
  for (std::size_t i = 0; i < kMany; ++i) {
    QUARRY_ASSIGN(Collection collection, store.GetCollection(std::to_string(i)));
    collections.push_back(std::move(collection));
  }
  return collections;
}

// Records first .. first + n - 1 into all collections: a commit for each without sync,
// or one for all.
Status WriteMany(Store& store, std::uint64_t first, std::size_t n, bool together) {
  QUARRY_ASSIGN(std::vector<Collection> collections, OpenMany(store));
  std::vector<Id> ids;
  for (std::size_t i = 0; i < n; ++i) ids.emplace_back(first + i);
  const std::vector<float> vectors(n * kManyDim, 1);
  const Records records{.ids = ids, .vectors = {vectors.data(), n, kManyDim}, .metadata = {}};
  Batch batch;
  for (Collection& collection : collections) {
    batch.Upsert(collection, records);
    if (!together) QUARRY_TRY(collection.Upsert(records, {.sync = false}).status());
  }
  return together ? store.Write(batch).status() : Status::Ok();
}

Status SearchMany(Store& store, std::size_t records) {
  QUARRY_ASSIGN(const std::vector<Collection> collections, OpenMany(store));
  const std::vector<float> query(kManyDim, 1);
  for (const Collection& collection : collections) {
    QUARRY_ASSIGN(const auto hits,
                  collection.Search({query.data(), 1, kManyDim}, {.k = records + 1}));
    if (hits[0].size() == records) continue;
    return Status::DataLoss(std::to_string(hits[0].size()) + " of " + std::to_string(records) +
                            " records in collection " + collection.name());
  }
  return Status::Ok();
}

Status WriteAndReadMany(const std::string& path) {
  {
    QUARRY_ASSIGN(const auto store, Store::Open(path, {.create_if_missing = true}));
    for (std::size_t i = 0; i < kMany; ++i) {
      QUARRY_TRY(store->CreateCollection(std::to_string(i), {.dim = kManyDim}).status());
    }
    // A tile of the sketch is full with the second: sketches have something to sync.
    QUARRY_TRY(WriteMany(*store, 0, 3, /*together=*/false));
    QUARRY_TRY(WriteMany(*store, 3, 100, /*together=*/true));
    QUARRY_TRY(SearchMany(*store, 103));
    QUARRY_TRY(store->Close());
  }
  QUARRY_ASSIGN(const auto store, Store::Open(path));
  QUARRY_TRY(WriteMany(*store, 103, 30, /*together=*/false));
  QUARRY_TRY(SearchMany(*store, 133));
  return store->Close();
}

int TryMany(const std::string& path) {
  const rlimit limit{256, 256};
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) Die("setrlimit");
  const Status status = WriteAndReadMany(path);
  if (!status.ok()) std::printf("%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

std::vector<std::string> CommandOf(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {"/proc/self/exe"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

}  // namespace

std::optional<int> RunChild(int argc, char** argv) {
  if (argc < 3) return std::nullopt;
  const std::string_view work = argv[1];
  if (work == "--child-open") return OpenStore(argv[2], /*read_only=*/false);
  if (work == "--child-open-read") return OpenStore(argv[2], /*read_only=*/true);
  if (work == "--child-full") return WriteUntilFull(argv[2]);
  if (work == "--child-write") return CrashHistory::WriteUntilKilled(argv[2]);
  if (work == "--child-publish") return WriteAndPublish(argv[2]);
  if (work == "--child-checkpoint") return WriteAndCheckpoint(argv[2]);
  if (work == "--child-many") return TryMany(argv[2]);
  if (work == "--child-read") return ReadUntilKilled(argv[2]);
  return std::nullopt;
}

Child::Child(const std::vector<std::string>& arguments) : ChildProcess(CommandOf(arguments)) {}

StatusCode OpenInChild(const std::string& path, bool read_only) {
  Child child({read_only ? "--child-open-read" : "--child-open", path});
  return static_cast<StatusCode>(child.Wait());
}

}  // namespace quarry::testing_support
