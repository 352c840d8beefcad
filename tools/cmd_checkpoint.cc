// quarry checkpoint STORE DIR, quarry restore DIR STORE: copies of a store.

#include <fmt/format.h>
#include <unistd.h>

#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/damage_output.h"
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

Json LineOf(const CheckpointInfo& info, const Progress& progress) {
  return {
      {"rows", info.rows}, {"bytes", info.bytes}, {"seconds", RoundedSeconds(progress.seconds())}};
}

// Checks all of a store that was just made: the copy has what the checkpoint had, be it
// damaged. Such a store is kept, for it may be the last copy.
Result<int> CheckRestored(const GlobalOptions& global, const CheckpointInfo& info,
                          Progress& progress) {
  VerifyOptions options;
  options.go_on = [] { return !Interrupted(); };
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    progress.Update(done, total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total));
  };
  const Result<VerifyReport> checked = VerifyStore(global.store, options);
  progress.Clear();
  if (checked.status().code() == StatusCode::kCancelled) {
    PrintError(fmt::format("interrupted: {} is made, but not checked", global.store));
    return kExitInterrupted;
  }
  QUARRY_TRY(checked.status());
  Json line = LineOf(info, progress);
  if (checked->ok()) {
    QUARRY_TRY(Print(global, line));
    return kExitOk;
  }
  Output output(global, DamageColumns());
  if (output.json()) {
    line["damage"] = ToJson(checked->damages);
    QUARRY_TRY(output.Add(line));
  } else {
    for (const Damage& damage : checked->damages) QUARRY_TRY(AddDamage(damage, output));
  }
  QUARRY_TRY(output.Close());
  PrintError(fmt::format(
      "{} is made, but the checkpoint is damaged; quarry repair {} NEW keeps what is sound",
      global.store, global.store));
  return kExitCorruption;
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
  const Result<CheckpointInfo> info =
      stream ? WriteTar(*store, with) : store->Checkpoint(options.directory, with);
  progress.Clear();
  if (info.status().code() == StatusCode::kCancelled) return kExitInterrupted;
  QUARRY_TRY(info.status());
  if (!stream) QUARRY_TRY(Print(global, LineOf(*info, progress)));
  return kExitOk;
}

Result<int> RunRestore(const GlobalOptions& global, const CheckpointCommandOptions& options) {
  const bool stream = options.directory == "-";
  if (stream && isatty(STDIN_FILENO) != 0) {
    return WrongUsage("restore", "a tar archive is not read from a terminal");
  }
  Progress progress("bytes", global.quiet);
  const CheckpointOptions with = OptionsWith(progress);
  const Result<CheckpointInfo> info =
      stream ? RestoreTar(global.store) : RestoreDirectory(options.directory, global.store, with);
  if (!info.ok()) progress.Clear();
  if (info.status().code() == StatusCode::kCancelled) return kExitInterrupted;
  QUARRY_TRY(info.status());
  return CheckRestored(global, *info, progress);
}

}  // namespace quarry::tools
