// The values of rows and ids in the catalog. That damage to them is found:
// catalog_values_test.cc.

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "format/catalog_values.h"
#include "tests/status_matchers.h"

namespace quarry::format {
namespace {

using testing_support::Fails;

RowRecord SampleRow() { return {"an id", true, std::string("\0meta\xff", 6), 1'700'000'000'000}; }

TEST(RowRecord, RoundTrips) {
  const auto back = DecodeRowRecord(Encode(SampleRow()));
  ASSERT_OK(back);
  EXPECT_EQ(back->id, SampleRow().id);
  EXPECT_TRUE(back->has_vector);
  EXPECT_EQ(back->metadata, SampleRow().metadata);
  EXPECT_EQ(back->expires_at_unix_ms, SampleRow().expires_at_unix_ms);
}

TEST(RowRecord, IsDueFromItsExpiryOn) {
  RowRecord record = SampleRow();
  record.expires_at_unix_ms = 1000;
  EXPECT_FALSE(record.IsDue(999));
  EXPECT_TRUE(record.IsDue(1000));
  EXPECT_TRUE(record.IsDue(1001));
}

TEST(RowRecord, WithoutExpiryIsNeverDueAndTakesNoBytesForIt) {
  RowRecord record = SampleRow();
  const std::size_t with_expiry = Encode(record).size();
  record.expires_at_unix_ms = 0;
  EXPECT_FALSE(record.IsDue(std::numeric_limits<std::int64_t>::max()));
  EXPECT_LT(Encode(record).size(), with_expiry);
}

TEST(RowRecord, ExpiryBefore1970IsCorruption) {
  RowRecord record = SampleRow();
  record.expires_at_unix_ms = -1;
  EXPECT_THAT(DecodeRowRecord(Encode(record)), Fails(StatusCode::kCorruption));
}

TEST(RowRecord, TellsNoMetadataFromEmptyMetadata) {
  const auto none = DecodeRowRecord(Encode(RowRecord{"x", false, std::nullopt}));
  const auto empty = DecodeRowRecord(Encode(RowRecord{"x", false, ""}));
  ASSERT_OK(none);
  ASSERT_OK(empty);
  EXPECT_EQ(none->metadata, std::nullopt);
  EXPECT_EQ(empty->metadata, "");
}

TEST(RowRecord, IdOutOfRangeIsCorruption) {
  EXPECT_OK(DecodeRowRecord(Encode(RowRecord{std::string(kMaxIdBytes, 'x'), true, {}})));
  EXPECT_THAT(DecodeRowRecord(Encode(RowRecord{"", true, {}})), Fails(StatusCode::kCorruption));
  EXPECT_THAT(DecodeRowRecord(Encode(RowRecord{std::string(kMaxIdBytes + 1, 'x'), true, {}})),
              Fails(StatusCode::kCorruption));
}

TEST(IdEntry, RoundTrips) {
  for (const std::uint64_t row :
       {std::uint64_t{0}, std::uint64_t{1} << 40, std::numeric_limits<std::uint64_t>::max()}) {
    const auto back = DecodeRow(EncodeRow(row));
    ASSERT_OK(back);
    EXPECT_EQ(*back, row);
  }
}

TEST(IdEntry, OfAnotherLengthIsCorruption) {
  EXPECT_THAT(DecodeRow(""), Fails(StatusCode::kCorruption));
  EXPECT_THAT(DecodeRow("1234567"), Fails(StatusCode::kCorruption));
  EXPECT_THAT(DecodeRow("123456789"), Fails(StatusCode::kCorruption));
}

}  // namespace
}  // namespace quarry::format
