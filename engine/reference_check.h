// Checks that entries of the catalog refer to each other: records to ids, fields and
// expiries, and back.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/collection_check.h"
#include "format/catalog_values.h"

namespace quarry::engine {

// Records come in any order; what they refer to is looked up many at a time. Not
// thread-safe.
class ReferenceCheck {
 public:
  // Borrows all.
  ReferenceCheck(const CheckContext& context, const CollectionFacts& collection)
      : context_(context), collection_(collection) {}

  // A sound record. Its metadata must be, too: kCorruption else.
  Status Add(std::uint64_t row, const format::RowRecord& record);

  // Looks at the ids and fields themselves, once all records were added.
  //   complete   whether all records could be read
  // Errors: kCancelled.
  Status Finish(bool complete);

  std::uint64_t records() const { return records_; }
  std::uint64_t expiring() const { return expiring_; }  // of these

 private:
  struct Wanted {
    std::uint64_t row;
    std::string id;  // of the record
  };
  struct Pending {
    std::vector<std::string> keys;
    std::vector<Wanted> wanted;
    std::size_t bytes = 0;
  };

  void Ask(storage::Family family, Pending& pending, std::string key, Wanted wanted);
  void LookUp(storage::Family family, Pending& pending);
  void Report(const Status& fault, std::uint64_t row, const std::string& id);
  Status Scan(storage::Family family, const char* what, std::uint64_t expected, bool complete);
  Status CheckEntry(storage::Family family, std::string_view key, std::string_view value);
  bool IsReferred(storage::Family family, std::string_view key, std::string_view value) const;

  const CheckContext& context_;
  const CollectionFacts& collection_;
  Pending ids_;
  Pending fields_;
  std::uint64_t records_ = 0;
  std::uint64_t expiring_ = 0;
  std::uint64_t entries_ = 0;  // of fields and expiries
};

}  // namespace quarry::engine
