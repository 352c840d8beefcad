// quarry checkpoint STORE DIR, quarry restore DIR STORE: copies of a store.

#include <fmt/format.h>
#include <unistd.h>

#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/tar.h"

namespace quarry::tools {
namespace {

CheckpointOptions OptionsWith(Progress& progress) {
  CheckpointOptions options;
  options.go_on = [] { return !Interrupted(); };
  options.progress = [&progress](std::uint64_t bytes) { progress.Update(bytes, std::nullopt); };
  return options;
}

Result<CheckpointInfo> WriteTar(Store& store, const CheckpointOptions& options) {
  QUARRY_ASSIGN(const auto sink, TarSink::Begin(STDOUT_FILENO, "stdout"));
  QUARRY_ASSIGN(const CheckpointInfo info, store.StreamCheckpoint(*sink, options));
  QUARRY_TRY(sink->Finish());
  return info;
}

Result<CheckpointInfo> RestoreTar(const std::string& path) {
  QUARRY_ASSIGN(const auto restore, Restore::Begin(path));
  QUARRY_TRY(ReadTar(STDIN_FILENO, "stdin", *restore, [] { return !Interrupted(); }));
  return restore->Finish();
}

// What was cancelled the user interrupted.
Result<int> ExitOf(const GlobalOptions& global, const Result<CheckpointInfo>& info,
                   Progress& progress, bool print) {
  progress.Clear();
  if (info.status().code() == StatusCode::kCancelled) return kExitInterrupted;
  if (!info.ok()) return info.status();
  if (!print) return kExitOk;
  QUARRY_TRY(Print(global, Json{{"rows", info->rows},
                                {"bytes", info->bytes},
                                {"seconds", RoundedSeconds(progress.seconds())}}));
  return kExitOk;
}

}  // namespace

Result<int> RunCheckpoint(const GlobalOptions& global, const CheckpointCommandOptions& options) {
  const bool stream = options.directory == "-";
  if (stream && isatty(STDOUT_FILENO) != 0) {
    return WrongUsage("checkpoint", "a tar archive is not written to a terminal");
  }
  QUARRY_ASSIGN(const std::unique_ptr<Store> store, OpenStore(global, Access::kRead));
  Progress progress("bytes", global.quiet);
  const CheckpointOptions with = OptionsWith(progress);
  return ExitOf(global,
                stream ? WriteTar(*store, with) : store->Checkpoint(options.directory, with),
                progress, !stream);
}

Result<int> RunRestore(const GlobalOptions& global, const CheckpointCommandOptions& options) {
  const bool stream = options.directory == "-";
  if (stream && isatty(STDIN_FILENO) != 0) {
    return WrongUsage("restore", "a tar archive is not read from a terminal");
  }
  Progress progress("bytes", global.quiet);
  const CheckpointOptions with = OptionsWith(progress);
  return ExitOf(
      global,
      stream ? RestoreTar(global.store) : RestoreDirectory(options.directory, global.store, with),
      progress, true);
}

}  // namespace quarry::tools
