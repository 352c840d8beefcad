// Status and Result<T>: how every fallible function of Quarry reports failure.
//
// Quarry does not throw. An expected failure (bad argument, full disk, damaged
// file) is a Status; a broken invariant aborts the process with a message.
// Only std::bad_alloc may pass through.

#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace quarry {

// Stable values: tools print them and callers switch on them.
enum class StatusCode : std::uint8_t {
  kOk = 0,
  kInvalidArgument = 1,     // the call is wrong; retrying cannot help
  kNotFound = 2,            // no such store, collection or id
  kAlreadyExists = 3,       // the name or id is taken
  kFailedPrecondition = 4,  // right call, wrong state (closed, forked, read-only open)
  kBusy = 5,                // another process holds the store
  kNoSpace = 6,             // the disk or a configured limit is full; nothing changed
  kIoError = 7,             // the operating system refused
  kCorruption = 8,          // stored bytes are not what was written
  kNotSupported = 9,        // a newer format, or a feature this build lacks
  kDataLoss = 10,           // commits that were acknowledged are missing
  kReadOnly = 11,           // a sync failed earlier: no writes until the store is reopened
  kCancelled = 12,          // the caller asked to stop
  kDeadlineExceeded = 13,   // it would have taken longer than the caller allows
};

// "InvalidArgument", "NotFound", ... without the k.
std::string_view ToString(StatusCode code);

// What a failed write left behind.
enum class Outcome : std::uint8_t {
  kRefused,  // nothing of it is stored
  kUnknown,  // after reopening the store it is there whole, or not at all
};

class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(StatusCode code, std::string message, Outcome outcome = Outcome::kRefused)
      : code_(code), outcome_(outcome), message_(std::move(message)) {}

  static Status Ok() { return {}; }
  static Status InvalidArgument(std::string m) {
    return {StatusCode::kInvalidArgument, std::move(m)};
  }
  static Status NotFound(std::string m) { return {StatusCode::kNotFound, std::move(m)}; }
  static Status AlreadyExists(std::string m) { return {StatusCode::kAlreadyExists, std::move(m)}; }
  static Status FailedPrecondition(std::string m) {
    return {StatusCode::kFailedPrecondition, std::move(m)};
  }
  static Status Busy(std::string m) { return {StatusCode::kBusy, std::move(m)}; }
  static Status NoSpace(std::string m) { return {StatusCode::kNoSpace, std::move(m)}; }
  static Status IoError(std::string m) { return {StatusCode::kIoError, std::move(m)}; }
  static Status Corruption(std::string m) { return {StatusCode::kCorruption, std::move(m)}; }
  static Status NotSupported(std::string m) { return {StatusCode::kNotSupported, std::move(m)}; }
  static Status DataLoss(std::string m) { return {StatusCode::kDataLoss, std::move(m)}; }
  static Status ReadOnly(std::string m) { return {StatusCode::kReadOnly, std::move(m)}; }
  static Status Cancelled(std::string m) { return {StatusCode::kCancelled, std::move(m)}; }
  static Status DeadlineExceeded(std::string m) {
    return {StatusCode::kDeadlineExceeded, std::move(m)};
  }

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // Meaningful for the failure of a write.
  Outcome outcome() const { return outcome_; }

  // The same failure with `context` and ": " before its message.
  Status WithContext(std::string_view context) const;

  // "Corruption: slab 7: bad header checksum", or "OK".
  std::string ToString() const;

 private:
  StatusCode code_ = StatusCode::kOk;
  Outcome outcome_ = Outcome::kRefused;
  std::string message_;
};

// Either a T or the Status that explains why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    assert(!status_.ok());
  }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  // REQUIRES: ok()
  T& value() & {
    assert(ok());
    return *value_;
  }
  const T& value() const& {
    assert(ok());
    return *value_;
  }
  T&& value() && {
    assert(ok());
    return *std::move(value_);
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace quarry
