// quarry verify STORE: checks every checksum and every cross reference.

#include <fmt/format.h>

#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/damage_output.h"
#include "tools/progress.h"

namespace quarry::tools {

Result<int> RunVerify(const GlobalOptions& global, const VerifyCommandOptions& options) {
  Progress progress("bytes", global.quiet);
  VerifyOptions verify;
  verify.quick = options.quick;
  verify.bytes_per_second = options.bytes_per_second;
  verify.go_on = [] { return !Interrupted(); };
  verify.progress = [&](std::uint64_t done, std::uint64_t total) {
    progress.Update(done, total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total));
  };
  QUARRY_ASSIGN(const VerifyReport report, VerifyStore(global.store, verify));
  progress.Clear();
  if (!global.quiet) {
    for (const std::string& note : report.notes) PrintError(note);
  }
  Output output(global, DamageColumns());
  if (output.json()) {
    Json line = {{"ok", report.ok()},
                 {"collections", report.collections},
                 {"records", report.records},
                 {"bytes", report.bytes},
                 {"damage", ToJson(report.damages)}};
    if (report.more_damages > 0) line["more_damage"] = report.more_damages;
    QUARRY_TRY(output.Add(line));
  } else {
    for (const Damage& damage : report.damages) QUARRY_TRY(AddDamage(damage, output));
  }
  QUARRY_TRY(output.Close());
  if (!global.quiet && report.more_damages > 0) {
    PrintError(fmt::format("{} more damages are not listed", report.more_damages));
  }
  return report.ok() ? kExitOk : kExitCorruption;
}

}  // namespace quarry::tools
