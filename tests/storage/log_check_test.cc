// Damage to a log is told from a write that was cut short.

#include "storage/log_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <string>

#include "storage/log_format.h"
#include "tests/status_matchers.h"
#include "tests/temp_dir.h"

namespace quarry::storage {
namespace {

using testing::Optional;
using testing_support::TempDir;

std::string Record(std::uint8_t type, const std::string& payload) {
  std::string record(kRecordHeaderBytes, '\0');
  const auto length = static_cast<std::uint16_t>(payload.size());
  std::memcpy(record.data() + kLengthOffset, &length, sizeof(length));
  record[kTypeOffset] = static_cast<char>(type);
  record += payload;
  std::uint32_t crc = ~0u;
  for (std::size_t i = kTypeOffset; i < record.size(); ++i) {
    crc = Crc32c(crc, static_cast<std::byte>(record[i]));
  }
  const std::uint32_t masked = Masked(crc);
  std::memcpy(record.data(), &masked, sizeof(masked));
  return record;
}

class LogCheckTest : public testing::Test {
 protected:
  std::optional<LogFault> Check(const std::string& log) {
    const std::string path = directory_ / "log";
    std::ofstream(path, std::ios::binary | std::ios::trunc) << log;
    const auto file = Vfs::Posix().OpenFile(path, Vfs::Open::kRead);
    EXPECT_OK(file);
    const auto fault = CheckLog(**file, log.size(), [](std::uint64_t) { return Status::Ok(); });
    EXPECT_OK(fault);
    return *fault;
  }

  TempDir directory_;
};

MATCHER_P(IsCut, cut, "") { return arg.cut == cut; }

TEST_F(LogCheckTest, WholeRecordsAreSound) {
  EXPECT_EQ(Check(""), std::nullopt);
  EXPECT_FALSE(Check(Record(1, "one") + Record(2, "be") + Record(3, "gi") + Record(4, "n")));
}

TEST_F(LogCheckTest, RecordsGoOnInTheNextBlock) {
  EXPECT_FALSE(Check(Record(1, std::string(kBlockBytes - kRecordHeaderBytes - 3, 'x')) +
                     std::string(3, '\0') + Record(1, "two")));
  EXPECT_THAT(Check(Record(1, std::string(kBlockBytes - kRecordHeaderBytes - 3, 'x')) +
                    std::string(3, 'a') + Record(1, "two")),
              Optional(IsCut(false)));
}

TEST_F(LogCheckTest, EveryFlippedBitIsDamage) {
  const std::string log = Record(1, "first") + Record(1, "second");
  for (std::size_t bit = 0; bit < log.size() * 8; ++bit) {
    std::string damaged = log;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_THAT(Check(damaged), Optional(IsCut(false))) << bit;
  }
}

TEST_F(LogCheckTest, EndWithinARecordIsAWriteThatWasCutShort) {
  const std::string log = Record(1, "first") + Record(1, "second");
  const std::size_t first = Record(1, "first").size();
  for (std::size_t bytes = 1; bytes < log.size(); ++bytes) {
    if (bytes == first) continue;
    EXPECT_THAT(Check(log.substr(0, bytes)), Optional(IsCut(true))) << bytes;
  }
  EXPECT_THAT(Check(Record(2, "begins")), Optional(IsCut(true)));
  EXPECT_THAT(Check(log + std::string(100, '\0')), Optional(IsCut(true)));
}

}  // namespace
}  // namespace quarry::storage
