#include "format/checksum.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "tests/random_seed.h"
#include "tests/status_matchers.h"

namespace quarry::format {
namespace {

using testing_support::Fails;
using testing_support::RandomSeed;

std::string RandomBytes(std::size_t bytes, std::mt19937& rng) {
  std::string out(bytes, '\0');
  for (char& c : out) c = static_cast<char>(rng());
  return out;
}

// Values stored by one release are read by the next: the function is fixed.
TEST(Checksum, IsXxh3WithSeedZero) {
  EXPECT_EQ(Checksum(nullptr, 0), 0x2d06800538d394c2u);
  EXPECT_EQ(Checksum("a", 1), 0xe6c632b61e964e1fu);
}

TEST(Checksum, OfPiecesIsThatOfTheWhole) {
  std::mt19937 rng(RandomSeed());
  for (int round = 0; round < 300; ++round) {
    const std::string whole = RandomBytes(rng() % 2000, rng);
    const auto bytes = std::as_bytes(std::span(whole));
    std::vector<std::span<const std::byte>> pieces;
    for (std::size_t begin = 0; begin < bytes.size();) {
      const std::size_t n = std::min<std::size_t>(rng() % 500, bytes.size() - begin);  // 0 too
      pieces.push_back(bytes.subspan(begin, n));
      begin += n;
    }
    ASSERT_EQ(Checksum(pieces), Checksum(whole.data(), whole.size())) << whole.size() << " bytes";
  }
}

TEST(Seal, IsRemovedByUnseal) {
  std::mt19937 rng(RandomSeed());
  for (const std::size_t bytes : {0u, 1u, 7u, 8u, 9u, 1000u, 100000u}) {
    const std::string payload = RandomBytes(bytes, rng);
    const std::string sealed = Seal(payload);
    const auto back = Unseal(sealed);
    ASSERT_OK(back);
    EXPECT_EQ(*back, payload);
  }
}

TEST(Seal, PutsTheChecksumFirstLittleEndian) {
  EXPECT_EQ(Seal(""), std::string("\xc2\x94\xd3\x38\x05\x80\x06\x2d", 8));
}

TEST(Unseal, CatchesEveryBitFlip) {
  const std::string sealed = Seal("some payload of a value");
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string damaged = sealed;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_THAT(Unseal(damaged), Fails(StatusCode::kCorruption)) << "bit " << bit;
  }
}

TEST(Unseal, CatchesEveryTruncation) {
  const std::string sealed = Seal("some payload of a value");
  for (std::size_t bytes = 0; bytes < sealed.size(); ++bytes) {
    EXPECT_THAT(Unseal(sealed.substr(0, bytes)), Fails(StatusCode::kCorruption)) << bytes;
  }
}

TEST(Unseal, CatchesBytesThatWereAdded) {
  EXPECT_THAT(Unseal(Seal("payload") + '\0'), Fails(StatusCode::kCorruption));
}

}  // namespace
}  // namespace quarry::format
