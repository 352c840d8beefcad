#include "engine/report.h"

#include <exception>
#include <string>

namespace quarry::engine {
namespace {

void LogThrow(const OpenOptions& options, std::string_view operation, const char* what) {
  if (!options.log) return;
  options.log(LogLevel::kError, "the metrics callback threw after " + std::string(operation) +
                                    " (" + what + "); expected none");
}

}  // namespace

void Report(const OpenOptions& options, const OperationReport& report) noexcept {
  try {
    options.metrics(report);
  } catch (const std::exception& thrown) {
    LogThrow(options, report.operation, thrown.what());
  } catch (...) {
    LogThrow(options, report.operation, "no std::exception");
  }
}

}  // namespace quarry::engine
