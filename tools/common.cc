// What the subcommands share: opening the store, ids, errors, signals.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "format/keys.h"
#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/files/id_list.h"
#include "tools/output.h"

namespace quarry::tools {
namespace {

volatile std::sig_atomic_t interrupted = 0;

extern "C" void OnSignal(int) { interrupted = 1; }

// Errors that RocksDB logged itself, from any thread.
struct CatalogErrors {
  static constexpr std::size_t kMax = 100;
  std::mutex mutex;
  std::vector<std::string> lines;
};

// Never destroyed: threads of a store may log to the end.
CatalogErrors& HeldErrors() {
  static auto* const errors = new CatalogErrors();
  return *errors;
}

// Whether a line is RocksDB's own, "[db/db_impl/db_impl_open.cc:982] ..".
bool IsOfRocksDb(std::string_view line) {
  if (!line.starts_with('[')) return false;
  const std::string_view place = line.substr(0, line.find(']'));
  return place.find(".cc:") != std::string_view::npos ||
         place.find(".h:") != std::string_view::npos;
}

void Log(LogLevel level, std::string_view message) {
  if (!IsOfRocksDb(message)) {
    if (level >= LogLevel::kWarning) PrintError(message);
    return;
  }
  if (level < LogLevel::kError) return;
  CatalogErrors& errors = HeldErrors();
  const std::lock_guard lock(errors.mutex);
  if (errors.lines.size() < CatalogErrors::kMax) errors.lines.emplace_back(message);
}

}  // namespace

int ExitCodeOf(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return kExitOk;
    case StatusCode::kBusy:
      return kExitLocked;
    case StatusCode::kNoSpace:
    case StatusCode::kIoError:
    case StatusCode::kReadOnly:
      return kExitIo;
    case StatusCode::kCorruption:
    case StatusCode::kDataLoss:
      return kExitCorruption;
    case StatusCode::kInvalidArgument:
    case StatusCode::kNotFound:
    case StatusCode::kAlreadyExists:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kNotSupported:
    case StatusCode::kCancelled:
    case StatusCode::kDeadlineExceeded:
      return kExitFailed;
  }
  return kExitFailed;
}

Result<std::unique_ptr<Store>> OpenStore(const GlobalOptions& global, Access access,
                                         std::uint64_t max_resident_bytes) {
  OpenOptions options;
  options.max_resident_bytes = max_resident_bytes;
  options.create_if_missing = access == Access::kCreate;
  options.read_only = access == Access::kRead;
  options.threads = global.threads != 0
                        ? global.threads
                        : std::max<std::size_t>(1, std::thread::hardware_concurrency());
  if (!global.quiet) options.log = Log;
  auto store = Store::Open(global.store, options);
  if (access != Access::kRead || store.status().code() != StatusCode::kBusy) return store;
  auto published = Store::OpenPublished(global.store, options);
  if (published.status().code() == StatusCode::kFailedPrecondition) {
    return Status::Busy(store.status().message() + ", which has published nothing to be read");
  }
  if (published.ok() && !global.quiet) {
    QUARRY_ASSIGN(const StoreInfo info, (*published)->Info());
    PrintError(fmt::format("{} is in use by another process; this is what it published, commit {}",
                           global.store, info.sequence));
  }
  return published;
}

Result<Id> ParseId(const std::string& text, IdType type) {
  if (type == IdType::kString) {
    QUARRY_TRY(format::CheckId(Id(text), type));
    return Id(text);
  }
  const std::optional<std::uint64_t> number = ParseIdNumber(text);
  if (number) return Id(*number);
  return Status::InvalidArgument(
      fmt::format("'{}' is not an id of this collection, expected a whole number from 0 to {}",
                  text, UINT64_MAX));
}

Result<std::vector<Id>> GatherIds(const std::vector<std::string>& texts, const std::string& file,
                                  IdType type) {
  std::vector<Id> ids;
  for (const std::string& text : texts) {
    QUARRY_ASSIGN(Id id, ParseId(text, type));
    ids.push_back(std::move(id));
  }
  if (file.empty()) return ids;
  QUARRY_ASSIGN(std::vector<Id> more, ReadIdFile(file, type));
  std::move(more.begin(), more.end(), std::back_inserter(ids));
  return ids;
}

bool TakesEscapes(int fd) {
  const char* const term = std::getenv("TERM");
  return ::isatty(fd) != 0 && (term == nullptr || std::string_view(term) != "dumb");
}

void PrintError(std::string_view message) {
  std::fputs(fmt::format("quarry: {}\n", OneLine(message)).c_str(), stderr);
}

void PrintCatalogErrors() {
  CatalogErrors& errors = HeldErrors();
  const std::lock_guard lock(errors.mutex);
  for (const std::string& line : std::exchange(errors.lines, {})) PrintError(line);
}

int WrongUsage(std::string_view command, std::string_view message) {
  PrintError(command.empty() ? fmt::format("{}; see quarry --help", message)
                             : fmt::format("{}; see quarry {} --help", message, command));
  return kExitUsage;
}

bool Interrupted() { return interrupted != 0; }

void InstallSignalHandlers() {
  struct sigaction action = {};
  sigemptyset(&action.sa_mask);
  action.sa_handler = OnSignal;
  // No SA_RESTART: reading from a terminal or a pipe must end as well.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = SIG_IGN;
  action.sa_flags = 0;
  sigaction(SIGPIPE, &action, nullptr);
}

}  // namespace quarry::tools
