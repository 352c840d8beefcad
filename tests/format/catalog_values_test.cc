#include "format/catalog_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/checksum.h"
#include "format/plane.h"
#include "tests/random_seed.h"
#include "tests/status_matchers.h"

namespace quarry::format {
namespace {

using testing::HasSubstr;
using testing_support::Fails;
using testing_support::RandomSeed;

constexpr std::uint64_t kMaxU64 = std::numeric_limits<std::uint64_t>::max();

StoreRecord SampleStore() { return {"01234567-89ab-4def-8123-456789abcdef", 1, 1700000000000}; }

CollectionRecord SampleCollection() {
  CollectionRecord record;
  record.number = 7;
  record.schema = {.dim = 384,
                   .level = Level::kI8,
                   .metric = Metric::kL2,
                   .id_type = IdType::kString,
                   .zero_vectors = ZeroVectors::kAllow,
                   .fields = {{"price", FieldType::kFloat}, {"été", FieldType::kString}}};
  record.created_unix_ms = 1700000000001;
  return record;
}

Manifest SampleManifest() {
  Manifest manifest;
  manifest.full = {{1, 0, 99, 100, 128}, {4, 100, 250, 60, 64}, {2, kMaxU64 - 1, kMaxU64, 2, 2}};
  manifest.active = SlabRecord{.number = 9, .capacity_rows = 4096};
  manifest.compactions = {{1'700'000'000'002, 30, 2, 160, 40, 5000}, {kMaxUnixMs, 0, 1, 0, 9, 0}};
  return manifest;
}

CollectionState SampleState() {
  return {.sequence = 12,
          .next_row = 5000,
          .next_auto_id = kMaxU64,
          .auto_ids_exhausted = true,
          .records = 40,
          .vectors = 30,
          .active_rows = 20,
          .active_first_row = 4000,
          .active_last_row = 4999,
          .expiring = 7};
}

RowRecord SampleRow() { return {"an id", true, std::string("\0meta\xff", 6), 1'700'000'000'000}; }

std::string FromHex(std::string_view digits) {
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

// One kind of sealed value, with what its decoder does to given bytes.
struct Kind {
  std::string name;
  std::string sealed;  // a valid value
  // Decodes, and says what is out of range in a value that was decoded.
  std::function<Status(std::string_view, std::string*)> decode;
};

template <class T>
Kind MakeKind(std::string name, std::string sealed, Result<T> (*decode)(std::string_view),
              std::function<std::string(const T&)> out_of_range) {
  return {std::move(name), std::move(sealed),
          [decode, out_of_range](std::string_view bytes, std::string* complaint) {
            const Result<T> value = decode(bytes);
            if (value.ok()) *complaint = out_of_range(*value);
            return value.status();
          }};
}

std::string Complaint(const StoreRecord& value) {
  if (value.uuid.size() != 36) return "uuid";
  return value.format_version >= 1 && value.format_version <= kFormatVersion ? ""
                                                                             : "format version";
}

std::string Complaint(const CollectionRecord& value) { return CheckSchema(value.schema).message(); }

std::string Complaint(const Manifest& value) {
  std::uint64_t next = 0;
  for (const SlabRecord& slab : value.full) {
    if (slab.capacity_rows < 1 || slab.capacity_rows > kMaxSlabRows) return "capacity";
    if (slab.rows < 1 || slab.rows > slab.capacity_rows) return "rows";
    if (slab.first_row < next || slab.last_row < slab.first_row) return "order";
    if (slab.last_row - slab.first_row < slab.rows - 1) return "more rows than row numbers";
    next = slab.last_row + 1;
  }
  for (const CompactionRecord& record : value.compactions) {
    if (record.ended_unix_ms > kMaxUnixMs) return "end of a compaction";
  }
  if (!value.active) return "";
  return value.active->capacity_rows >= 1 && value.active->capacity_rows <= kMaxSlabRows
             ? ""
             : "active capacity";
}

std::string Complaint(const CollectionState& value) {
  if (value.vectors > value.records || value.records > value.next_row) return "counts";
  if (value.expiring > value.records) return "expiring";
  if (value.active_rows == 0) return "";
  if (value.active_rows > kMaxSlabRows) return "active rows";
  if (value.active_last_row < value.active_first_row) return "active order";
  if (value.active_last_row >= value.next_row) return "active last row";
  return value.active_last_row - value.active_first_row >= value.active_rows - 1 ? ""
                                                                                 : "active count";
}

std::string Complaint(const RowRecord& value) {
  if (value.id.empty() || value.id.size() > kMaxIdBytes) return "id";
  return value.expires_at_unix_ms >= 0 ? "" : "expiry";
}

std::vector<Kind> Kinds() {
  const auto complaint = [](const auto& value) { return Complaint(value); };
  return {
      MakeKind<StoreRecord>("StoreRecord", Encode(SampleStore()), DecodeStoreRecord, complaint),
      MakeKind<StoreState>("StoreState", Encode(StoreState{5, 6, 7, 8, 9}), DecodeStoreState,
                           [](const StoreState&) { return std::string(); }),
      MakeKind<CollectionRecord>("CollectionRecord", Encode(SampleCollection()),
                                 DecodeCollectionRecord, complaint),
      MakeKind<Manifest>("Manifest", Encode(SampleManifest()), DecodeManifest, complaint),
      MakeKind<CollectionState>("CollectionState", Encode(SampleState()), DecodeCollectionState,
                                complaint),
      MakeKind<RowRecord>("RowRecord", Encode(SampleRow()), DecodeRowRecord, complaint),
  };
}

class SealedValue : public testing::TestWithParam<Kind> {
 protected:
  // Decodes a heap copy of the exact size, so that ASan sees reads beyond it.
  Status Decode(std::string_view sealed) {
    const std::vector<char> copy(sealed.begin(), sealed.end());
    std::string complaint;
    Status status = GetParam().decode({copy.data(), copy.size()}, &complaint);
    EXPECT_EQ(complaint, "");
    return status;
  }

  // With a seal that holds, anything may come but a crash or a value out of range.
  void DecodeSealed(std::string_view payload) {
    const Status status = Decode(Seal(payload));
    ASSERT_TRUE(status.ok() || status.code() == StatusCode::kCorruption ||
                status.code() == StatusCode::kNotSupported)
        << status.ToString();
  }
};

TEST_P(SealedValue, IsDecoded) { EXPECT_OK(Decode(GetParam().sealed)); }

TEST_P(SealedValue, EveryBitFlipIsCorruption) {
  for (std::size_t bit = 0; bit < GetParam().sealed.size() * 8; ++bit) {
    std::string damaged = GetParam().sealed;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_THAT(Decode(damaged), Fails(StatusCode::kCorruption)) << "bit " << bit;
  }
}

TEST_P(SealedValue, EveryTruncationIsCorruption) {
  for (std::size_t bytes = 0; bytes < GetParam().sealed.size(); ++bytes) {
    ASSERT_THAT(Decode(GetParam().sealed.substr(0, bytes)), Fails(StatusCode::kCorruption))
        << bytes;
  }
}

TEST_P(SealedValue, OfNoBytesUnderAValidSealIsCorruption) {
  EXPECT_THAT(Decode(Seal("")), Fails(StatusCode::kCorruption));
}

TEST_P(SealedValue, RandomBytesUnderAValidSealAreHarmless) {
  std::mt19937 rng(RandomSeed());
  for (int round = 0; round < 5000; ++round) {
    std::string payload(rng() % 120, '\0');
    // Mostly small numbers: as offsets they stay inside.
    for (char& c : payload) c = static_cast<char>(rng() % 4 == 0 ? rng() : rng() % 24);
    for (std::size_t i = 1; i < payload.size(); i += 2)
      payload[i] = rng() % 4 != 0 ? '\0' : payload[i];
    ASSERT_NO_FATAL_FAILURE(DecodeSealed(payload));
  }
}

TEST_P(SealedValue, DamageUnderAValidSealIsHarmless) {
  std::mt19937 rng(RandomSeed());
  const std::string payload = GetParam().sealed.substr(8);
  for (int round = 0; round < 20000; ++round) {
    std::string damaged = payload;
    for (auto n = rng() % 5 + 1; n > 0; --n) {
      damaged[rng() % damaged.size()] = static_cast<char>(rng() % 2 == 0 ? rng() : rng() % 24);
    }
    if (rng() % 8 == 0) damaged.resize(rng() % damaged.size());
    ASSERT_NO_FATAL_FAILURE(DecodeSealed(damaged));
  }
}

TEST_P(SealedValue, TheSealedBytesOfAnotherKindAreHarmless) {
  for (const Kind& other : Kinds()) {
    ASSERT_NO_FATAL_FAILURE(DecodeSealed(std::string_view(other.sealed).substr(8)));
  }
}

INSTANTIATE_TEST_SUITE_P(Catalog, SealedValue, testing::ValuesIn(Kinds()),
                         [](const auto& suite) { return suite.param.name; });

TEST(StoreRecord, RoundTrips) {
  const auto back = DecodeStoreRecord(Encode(SampleStore()));
  ASSERT_OK(back);
  EXPECT_EQ(back->uuid, SampleStore().uuid);
  EXPECT_EQ(back->format_version, 1u);
  EXPECT_EQ(back->created_unix_ms, 1700000000000u);
}

TEST(StoreRecord, NewerFormatIsNotSupportedByName) {
  StoreRecord newer = SampleStore();
  newer.format_version = kFormatVersion + 1;
  const auto result = DecodeStoreRecord(Encode(newer));
  EXPECT_THAT(result, Fails(StatusCode::kNotSupported));
  EXPECT_THAT(result.status().message(), HasSubstr(std::to_string(kFormatVersion + 1)));
}

TEST(StoreRecord, FormatZeroIsCorruption) {
  StoreRecord zero = SampleStore();
  zero.format_version = 0;
  EXPECT_THAT(DecodeStoreRecord(Encode(zero)), Fails(StatusCode::kCorruption));
}

TEST(StoreRecord, UuidOfAnotherLengthIsCorruption) {
  StoreRecord record = SampleStore();
  record.uuid.pop_back();
  EXPECT_THAT(DecodeStoreRecord(Encode(record)), Fails(StatusCode::kCorruption));
}

TEST(StoreState, RoundTrips) {
  const auto back =
      DecodeStoreState(Encode(StoreState{kMaxU64, 0xffffffff, kMaxU64 - 1, kMaxU64 - 2, 5}));
  ASSERT_OK(back);
  EXPECT_EQ(back->sequence, kMaxU64);
  EXPECT_EQ(back->next_collection, 0xffffffffu);
  EXPECT_EQ(back->next_slab, kMaxU64 - 1);
  EXPECT_EQ(back->written_bytes, kMaxU64 - 2);
  EXPECT_EQ(back->compacted_bytes, 5u);
}

TEST(StoreState, OfALibraryThatCountedNoBytesHasTheBytesOfZeros) {
  const std::string stored = FromHex(
      "0ffac39ed73a16f21000000000000a0018000800040010000a000000060000000500000000000000070000000000"
      "00"
      "00");
  EXPECT_EQ(Encode(StoreState{5, 6, 7}), stored);
  const auto back = DecodeStoreState(stored);
  ASSERT_OK(back);
  EXPECT_EQ(back->next_slab, 7u);
  EXPECT_EQ(back->written_bytes, 0u);
  EXPECT_EQ(back->compacted_bytes, 0u);
}

TEST(CollectionRecord, RoundTrips) {
  const auto back = DecodeCollectionRecord(Encode(SampleCollection()));
  ASSERT_OK(back);
  EXPECT_EQ(back->number, 7u);
  EXPECT_EQ(back->schema, SampleCollection().schema);
  EXPECT_EQ(back->created_unix_ms, 1700000000001u);
}

TEST(CollectionRecord, RoundTripsWithAllTheFieldsThatFit) {
  CollectionRecord record = SampleCollection();
  record.schema.fields.clear();
  for (std::size_t i = 0; i < kMaxFields; ++i) {
    const std::string number = std::to_string(i);
    record.schema.fields.push_back({number + std::string(kMaxNameBytes - number.size(), 'x'),
                                    static_cast<FieldType>(1 + i % 4)});
  }
  const auto back = DecodeCollectionRecord(Encode(record));
  ASSERT_OK(back);
  EXPECT_EQ(back->schema, record.schema);
}

TEST(CollectionRecord, SchemaOutOfRangeIsCorruption) {
  const std::vector<std::function<void(CollectionSchema&)>> changes = {
      [](auto& s) { s.dim = 0; },
      [](auto& s) { s.dim = kMaxDim + 1; },
      [](auto& s) { s.level = static_cast<Level>(5); },
      [](auto& s) { s.metric = static_cast<Metric>(0); },
      [](auto& s) { s.id_type = static_cast<IdType>(3); },
      [](auto& s) { s.zero_vectors = static_cast<ZeroVectors>(0); },
      [](auto& s) { s.fields[0].type = static_cast<FieldType>(5); },
      [](auto& s) { s.fields[0].name = ""; },
      [](auto& s) { s.fields[0].name = s.fields[1].name; },
      [](auto& s) {
        s.fields.resize(kMaxFields + 1, {"x", FieldType::kInt});
      },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    CollectionRecord record = SampleCollection();
    changes[i](record.schema);
    EXPECT_THAT(CheckSchema(record.schema), Fails(StatusCode::kInvalidArgument)) << "change " << i;
    EXPECT_THAT(DecodeCollectionRecord(Encode(record)), Fails(StatusCode::kCorruption))
        << "change " << i;
  }
}

bool Same(const SlabRecord& a, const SlabRecord& b) {
  return a.number == b.number && a.first_row == b.first_row && a.last_row == b.last_row &&
         a.rows == b.rows && a.capacity_rows == b.capacity_rows;
}

TEST(Manifest, RoundTrips) {
  const Manifest given = SampleManifest();
  const auto back = DecodeManifest(Encode(given));
  ASSERT_OK(back);
  ASSERT_EQ(back->full.size(), given.full.size());
  for (std::size_t i = 0; i < given.full.size(); ++i) {
    EXPECT_TRUE(Same(back->full[i], given.full[i])) << "slab " << i;
  }
  ASSERT_TRUE(back->active.has_value());
  EXPECT_TRUE(Same(*back->active, *given.active));
  EXPECT_EQ(back->compactions, given.compactions);
}

TEST(Manifest, OfALibraryThatListedNoCompactionsHasTheBytesOfNone) {
  const std::string stored = FromHex(
      "38590c6fad4f87fb0c00000008000e000400080008000000280000001400000000000e0010000800000000000000"
      "04"
      "000e00000000100000090000000000000001000000140000001000200010000000180008000c0007001000000000"
      "00"
      "0001640000008000000001000000000000006300000000000000");
  Manifest manifest;
  manifest.full = {{1, 0, 99, 100, 128, true}};
  manifest.active = SlabRecord{.number = 9, .capacity_rows = 4096};
  EXPECT_EQ(Encode(manifest), stored);
  const auto back = DecodeManifest(stored);
  ASSERT_OK(back);
  EXPECT_TRUE(Same(back->full.at(0), manifest.full[0]));
  EXPECT_TRUE(back->compactions.empty());
}

TEST(Manifest, CompactionThatEndsBehindAllTimesOfTheClockIsCorruption) {
  Manifest manifest = SampleManifest();
  manifest.compactions[0].ended_unix_ms = kMaxUnixMs + 1;
  EXPECT_THAT(DecodeManifest(Encode(manifest)), Fails(StatusCode::kCorruption));
}

TEST(Manifest, RoundTripsWithoutSlabs) {
  const auto back = DecodeManifest(Encode(Manifest{}));
  ASSERT_OK(back);
  EXPECT_TRUE(back->full.empty());
  EXPECT_FALSE(back->active.has_value());
}

TEST(Manifest, SlabsOutOfRangeAreCorruption) {
  const std::vector<std::function<void(Manifest&)>> changes = {
      [](auto& m) { m.full[0].rows = 0; },
      [](auto& m) { m.full[0].rows = m.full[0].capacity_rows + 1; },
      [](auto& m) { m.full[0].capacity_rows = 0; },
      [](auto& m) { m.full[0].capacity_rows = kMaxSlabRows + 1; },
      [](auto& m) { m.full[0].last_row = 98; },   // 100 rows in 99 numbers
      [](auto& m) { m.full[0].last_row = 100; },  // the next slab's first
      [](auto& m) { m.full[0].first_row = 500; },
      [](auto& m) { std::swap(m.full[0], m.full[1]); },
      [](auto& m) { m.active->capacity_rows = 0; },
      [](auto& m) { m.active->capacity_rows = kMaxSlabRows + 1; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Manifest manifest = SampleManifest();
    changes[i](manifest);
    EXPECT_THAT(DecodeManifest(Encode(manifest)), Fails(StatusCode::kCorruption)) << "change " << i;
  }
}

TEST(CollectionState, RoundTrips) {
  const CollectionState given = SampleState();
  const auto back = DecodeCollectionState(Encode(given));
  ASSERT_OK(back);
  EXPECT_EQ(back->sequence, given.sequence);
  EXPECT_EQ(back->next_row, given.next_row);
  EXPECT_EQ(back->next_auto_id, given.next_auto_id);
  EXPECT_EQ(back->auto_ids_exhausted, given.auto_ids_exhausted);
  EXPECT_EQ(back->records, given.records);
  EXPECT_EQ(back->vectors, given.vectors);
  EXPECT_EQ(back->active_rows, given.active_rows);
  EXPECT_EQ(back->active_first_row, given.active_first_row);
  EXPECT_EQ(back->active_last_row, given.active_last_row);
  EXPECT_EQ(back->expiring, given.expiring);
}

TEST(CollectionState, WithoutExpiriesIsWhatItAlwaysWas) {
  CollectionState state = SampleState();
  state.expiring = 0;
  const std::string without = Encode(state);
  state.expiring = 1;
  EXPECT_LT(without.size(), Encode(state).size());
}

TEST(CollectionState, OfAnEmptyCollectionRoundTrips) {
  const auto back = DecodeCollectionState(Encode(CollectionState{}));
  ASSERT_OK(back);
  EXPECT_EQ(back->active_rows, 0u);
}

TEST(CollectionState, CountsOutOfRangeAreCorruption) {
  const std::vector<std::function<void(CollectionState&)>> changes = {
      [](auto& s) { s.vectors = s.records + 1; },
      [](auto& s) { s.records = s.next_row + 1; },
      [](auto& s) { s.expiring = s.records + 1; },
      [](auto& s) { s.active_last_row = s.next_row; },
      [](auto& s) { s.active_last_row = s.active_first_row - 1; },
      [](auto& s) { s.active_last_row = s.active_first_row + s.active_rows - 2; },
      [](auto& s) {
        s.next_row = kMaxU64;
        s.active_last_row = kMaxU64 - 1;
        s.active_rows = kMaxSlabRows + 1;
      },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    CollectionState state = SampleState();
    changes[i](state);
    EXPECT_THAT(DecodeCollectionState(Encode(state)), Fails(StatusCode::kCorruption))
        << "change " << i;
  }
}

TEST(CheckName, TakesWhatMayBeAName) {
  EXPECT_OK(CheckName("collection", "x"));
  EXPECT_OK(CheckName("collection", "日本 語.v2"));
  EXPECT_OK(CheckName("collection", std::string(kMaxNameBytes, 'x')));
}

TEST(CheckName, RefusesTheRest) {
  for (const std::string& name :
       {std::string(), std::string(kMaxNameBytes + 1, 'x'), std::string("a/b"), std::string("a\nb"),
        std::string("a\0b", 3), std::string("\x7f"), std::string("\xff")}) {
    const Status status = CheckName("collection", name);
    EXPECT_THAT(status, Fails(StatusCode::kInvalidArgument)) << testing::PrintToString(name);
    EXPECT_THAT(status.message(), HasSubstr("collection name"));
  }
}

TEST(WantsSketch, FollowsPolicyDimAndLevel) {
  const auto wants = [](SketchPolicy policy, std::size_t dim, Level level) {
    CollectionSchema schema;
    schema.sketch = policy;
    schema.dim = dim;
    schema.level = level;
    return std::pair(WantsSketch(schema), WantsPca(schema));
  };
  constexpr std::size_t kDim = 64;
  EXPECT_EQ(wants(SketchPolicy::kAuto, kDim, Level::kF32), std::pair(true, true));
  EXPECT_EQ(wants(SketchPolicy::kAuto, kDim - 1, Level::kF32), std::pair(false, false));
  EXPECT_EQ(wants(SketchPolicy::kAuto, kDim, Level::kI8), std::pair(false, false));
  EXPECT_EQ(wants(SketchPolicy::kNone, kDim, Level::kF32), std::pair(false, false));
  EXPECT_EQ(wants(SketchPolicy::kI8, 1, Level::kI8), std::pair(true, false));
  EXPECT_EQ(wants(SketchPolicy::kPca, 1, Level::kI8), std::pair(true, true));
}

}  // namespace
}  // namespace quarry::format
