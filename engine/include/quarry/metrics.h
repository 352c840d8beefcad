// What a store tells a service about the calls that it gets.

#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string_view>

#include "quarry/records.h"
#include "quarry/status.h"

namespace quarry {

// One call that has ended. Borrowed: the texts are gone after the callback.
struct OperationReport {
  // "open", "create_collection", "drop_collection", "upsert", "insert",
  // "update_metadata", "set_expiry", "delete", "write" (a Batch), "remove_expired",
  // "compact" or "search". Other calls are not reported.
  std::string_view operation;
  std::string_view collection = {};  // its name; "": of the store
  std::chrono::nanoseconds duration = {};
  StatusCode code = StatusCode::kOk;
  // Of a search:
  std::size_t queries = 0;
  std::size_t k = 0;
  SearchStats stats = {};  // all 0 when it failed
};

// Called at the end of each call, on its thread and before it returns: at once
// from several threads when they call at once, so it must be thread-safe, and it
// should be quick. No lock is held: it may call the store, and is told of that
// call too. What it throws is dropped with a line in the log. Not called in a
// process forked after the store was opened.
using MetricsCallback = std::function<void(const OperationReport&)>;

}  // namespace quarry
