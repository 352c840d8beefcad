// Files of ids: one for each record, in the order of the records.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quarry/status.h"
#include "quarry/types.h"
#include "tools/files/byte_stream.h"

namespace quarry::tools {

// Not thread-safe. What cannot be read or is not an id fails with kInvalidArgument
// naming file and line or element.
class IdList {
 public:
  // Reads the ids of a file: .npy (one dimension, or one column, of integers or
  // strings), .ivecs (all its numbers in order), anything else one id for each
  // line of text (blank lines are passed over, ids are not trimmed). "-" is stdin.
  // Errors: kNotFound, kIoError, kInvalidArgument.
  static Result<IdList> Open(const std::string& path);

  // An npy array. Strings are of NumPy's types U (UTF-32) and S (bytes of UTF-8).
  static Result<IdList> FromNpy(ByteStream* stream);

  // True for ids that are all numbers of 0..2^64-1 (in text: in decimal, without
  // sign and leading zeros).
  bool AllNumbers() const;

  // All as ids of this type. Numbers of an array are not ids of a string
  // collection; a line of text may be.
  // Errors: kInvalidArgument naming file and line or element.
  Result<std::vector<Id>> As(IdType type) &&;

  std::size_t size() const { return ids_.size(); }
  const std::string& name() const { return name_; }

 private:
  explicit IdList(std::string name) : name_(std::move(name)) {}

  static Result<IdList> FromText(std::unique_ptr<ByteStream> stream);
  static Result<IdList> FromIvecs(std::unique_ptr<ByteStream> stream);
  std::string Where(std::size_t position) const;

  std::string name_;
  std::vector<Id> ids_;
  std::vector<std::uint64_t> lines_;  // of a text: where each id stands
  bool text_ = false;                 // the ids are lines: numbers are not told from strings
};

// The u64 that `text` is in decimal, without sign, space or leading zeros.
std::optional<std::uint64_t> ParseIdNumber(std::string_view text);

// The ids of a file as ids of one type.
// Errors: as IdList.
Result<std::vector<Id>> ReadIdFile(const std::string& path, IdType type);

}  // namespace quarry::tools
