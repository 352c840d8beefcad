// Reporting calls to OpenOptions::metrics.

#pragma once

#include <chrono>
#include <utility>

#include "quarry/metrics.h"
#include "quarry/status.h"
#include "quarry/store.h"

namespace quarry::engine {

// Calls options.metrics, whatever it throws. REQUIRES: it is set; no lock is held
void Report(const OpenOptions& options, const OperationReport& report) noexcept;

inline StatusCode CodeOf(const Status& status) { return status.code(); }
template <class T>
StatusCode CodeOf(const Result<T>& result) {
  return result.ok() ? StatusCode::kOk : result.status().code();
}

// Returns what call(report) returns and reports it: `report` says what is called,
// the call may add to it. Null options: nothing is reported.
template <class Call>
auto Reported(const OpenOptions* options, OperationReport report, const Call& call) {
  if (options == nullptr || !options->metrics) return call(report);
  const auto began = std::chrono::steady_clock::now();
  auto result = call(report);
  report.duration = std::chrono::steady_clock::now() - began;
  report.code = CodeOf(result);
  Report(*options, report);
  return result;
}

}  // namespace quarry::engine
