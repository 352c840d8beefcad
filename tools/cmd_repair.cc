// quarry repair STORE NEW: writes a new store with all that is sound, lists what is lost.

#include <fmt/format.h>

#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/damage_output.h"
#include "tools/progress.h"

namespace quarry::tools {

Result<int> RunRepair(const GlobalOptions& global, const RepairCommandOptions& options) {
  Progress progress("records", global.quiet);
  RepairOptions repair;
  repair.go_on = [] { return !Interrupted(); };
  repair.progress = [&](std::uint64_t records) { progress.Update(records, std::nullopt); };
  QUARRY_ASSIGN(const RepairReport report, RepairStore(global.store, options.to, repair));
  progress.Clear();
  Output output(global, DamageColumns());
  if (output.json()) {
    QUARRY_TRY(output.Add({{"kept", report.kept}, {"lost", ToJson(report.lost)}}));
  } else {
    for (const Damage& lost : report.lost) QUARRY_TRY(AddDamage(lost, output));
  }
  QUARRY_TRY(output.Close());
  if (!global.quiet && !global.json) {
    PrintError(fmt::format("{} records of {} collections kept, {} lost", report.kept,
                           report.collections, report.lost_records()));
  }
  return report.lost.empty() ? kExitOk : kExitCorruption;
}

}  // namespace quarry::tools
