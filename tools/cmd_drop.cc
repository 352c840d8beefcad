// quarry drop STORE COLL: removes a collection with all its records.

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/output.h"

namespace quarry::tools {
namespace {

// Asks on the terminal; anything but yes is no.
bool Confirmed(const std::string& question) {
  std::fputs((OneLine(question) + " [y/N] ").c_str(), stderr);
  std::string answer;
  for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar()) {
    answer += static_cast<char>(c);
  }
  return answer == "y" || answer == "Y" || answer == "yes";
}

}  // namespace

Result<int> RunDrop(const GlobalOptions& global, const CollectionOptions& options) {
  const bool terminal = isatty(STDIN_FILENO) != 0 && isatty(STDERR_FILENO) != 0;
  if (!global.yes && !terminal) {
    return WrongUsage("drop", "drop removes data and there is no terminal to ask on: give --yes");
  }
  QUARRY_ASSIGN(const std::unique_ptr<Store> store, OpenStore(global, Access::kWrite));
  QUARRY_ASSIGN(const Collection collection, store->GetCollection(options.collection));
  if (!global.yes) {
    QUARRY_ASSIGN(const std::uint64_t count, collection.Count());
    if (!Confirmed(
            fmt::format("Drop collection '{}' with {} records?", collection.name(), count))) {
      if (Interrupted()) return kExitInterrupted;
      PrintError("nothing dropped");
      return kExitFailed;
    }
  }
  QUARRY_TRY(store->DropCollection(options.collection));
  QUARRY_TRY(store->Close());
  QUARRY_TRY(Print(global, Json{{"dropped", options.collection}}));
  return kExitOk;
}

}  // namespace quarry::tools
