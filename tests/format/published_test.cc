// The file that says how far a published state goes.

#include "format/published.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "format/checksum.h"
#include "tests/status_matchers.h"

namespace quarry::format {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

const std::vector<ActiveRecord> kActive = {{7, {12, 33, 0x0123456789abcdef}},
                                           {UINT64_MAX, {UINT64_MAX, kMaxBlockRows, 0}}};

TEST(PublishedTest, RecordsComeBack) {
  for (const auto& active : {kActive, std::vector<ActiveRecord>()}) {
    const auto decoded = DecodePublished(EncodePublished(active));
    ASSERT_OK(decoded);
    EXPECT_EQ(*decoded, active);
  }
}

TEST(PublishedTest, EveryChangedBitAndEveryLengthIsNoticed) {
  const std::string text = EncodePublished(kActive);
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string damaged = text;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    EXPECT_FALSE(DecodePublished(damaged).ok()) << bit;
  }
  for (std::size_t n = 0; n < text.size(); ++n) {
    EXPECT_THAT(DecodePublished(text.substr(0, n)), Fails(StatusCode::kCorruption)) << n;
  }
}

TEST(PublishedTest, NewerFormatIsNamed) {
  EXPECT_THAT(DecodePublished("Quarry published, format 2\nwhatever"),
              Fails(StatusCode::kNotSupported));
}

TEST(PublishedTest, EntriesThatNoWriterMakesAreRefused) {
  const std::string line = "Quarry published, format 1\n";
  EXPECT_THAT(DecodePublished(line + Seal(std::string(33, '\0'))), Fails(StatusCode::kCorruption));
  EXPECT_THAT(DecodePublished(line + Seal(std::string(32, '\0'))), Fails(StatusCode::kCorruption));
  EXPECT_THAT(DecodePublished(line + Seal(std::string(32, '\xff'))),
              Fails(StatusCode::kCorruption));
}

TEST(ChecksummerTest, PiecesAndZerosAreAsOneText) {
  std::string text(20'000, '\0');
  text.replace(0, 3, "abc");
  text.replace(15'000, 3, "def");
  const auto bytes = std::as_bytes(std::span(text));
  Checksummer sum;
  sum.Update(bytes.first(3));
  sum.UpdateZeros(14'997);
  sum.Update(bytes.subspan(15'000, 3));
  sum.UpdateZeros(4'997);
  sum.UpdateZeros(0);
  EXPECT_EQ(sum.Digest(), Checksum(text.data(), text.size()));
}

}  // namespace
}  // namespace quarry::format
