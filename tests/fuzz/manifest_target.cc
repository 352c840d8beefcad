// RocksDB manifests: those that a crash could have left are told from damaged ones.

#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/status_macros.h"
#include "storage/manifest_check.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/targets.h"

namespace quarry::fuzz {
namespace {

constexpr std::size_t kBlockBytes = 32768;
constexpr std::size_t kHeaderBytes = 7;  // checksum (4), length (2), type (1)

std::uint32_t Crc32c(std::string_view bytes) {
  static const std::vector<std::uint32_t> table = [] {
    std::vector<std::uint32_t> entries(256);
    for (std::uint32_t i = 0; i < 256; ++i) {
      entries[i] = i;
      for (int bit = 0; bit < 8; ++bit) {
        entries[i] = entries[i] >> 1 ^ ((entries[i] & 1) != 0 ? 0x82f63b78u : 0);
      }
    }
    return entries;
  }();
  std::uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc = crc >> 8 ^ table[(crc ^ static_cast<std::uint8_t>(byte)) & 0xff];
  }
  return ~crc;
}

bool EndsEarly(std::string_view manifest) {
  return storage::EndsBeforeItsEnd(std::as_bytes(std::span(manifest.data(), manifest.size())));
}

// A manifest as RocksDB writes it: records that do not fit the rest of a block go
// on in the next.
struct Log {
  std::string bytes;
  std::vector<std::size_t> parts;  // where each part of a record begins

  void Add(std::string_view record) {
    bool first = true;
    while (true) {
      const std::size_t left = kBlockBytes - bytes.size() % kBlockBytes;
      if (left < kHeaderBytes) bytes.append(left, '\0');
      const std::size_t room = kBlockBytes - bytes.size() % kBlockBytes - kHeaderBytes;
      const std::string_view piece = record.substr(0, room);
      record.remove_prefix(piece.size());
      const bool last = record.empty();
      // Full, first, middle, last.
      AddPart(first ? (last ? '\1' : '\2') : (last ? '\4' : '\3'), piece);
      if (last) return;
      first = false;
    }
  }

  void AddPart(char type, std::string_view piece) {
    parts.push_back(bytes.size());
    const std::string typed = std::string(1, type).append(piece);
    const std::uint32_t crc = std::rotr(Crc32c(typed), 15) + 0xa282ead8u;
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(crc >> 8 * i & 0xff));
    bytes.push_back(static_cast<char>(piece.size() & 0xff));
    bytes.push_back(static_cast<char>(piece.size() >> 8));
    bytes.append(typed);
  }
};

}  // namespace

void CatalogManifest(std::string_view bytes) {
  (void)EndsEarly(bytes);

  Input input(bytes);
  const auto cut = input.Take<std::uint16_t>();
  const auto victim = input.Take<std::uint16_t>();
  const auto lengthened = input.Take<std::uint16_t>();
  Log log;
  while (!input.rest().empty()) {
    // Some records are as long as a block.
    const auto repeat = static_cast<std::size_t>(input.Take<std::uint8_t>());
    std::string record = input.TakeText();
    if (repeat >= 0xf0) record.resize(record.size() * (repeat - 0xe0) * 16, 'x');
    log.Add(record);
    if (log.bytes.size() > kBlockBytes) break;
  }
  QUARRY_CHECK(!EndsEarly(log.bytes));
  // A crash may leave any beginning.
  QUARRY_CHECK(!EndsEarly(std::string_view(log.bytes).substr(0, cut % (log.bytes.size() + 1))));

  if (log.parts.empty()) return;
  std::string damaged = log.bytes;
  const std::size_t part = log.parts[victim % log.parts.size()];
  damaged[part + 6] = static_cast<char>(5 + lengthened % 4);  // of a recycled log
  QUARRY_CHECK(EndsEarly(damaged));

  // A longer last record ends behind the end.
  damaged = log.bytes;
  const std::size_t last = log.parts.back();
  const std::size_t length = damaged.size() - last - kHeaderBytes;
  const std::size_t longer = length + 1 + lengthened % (65535 - length);
  damaged[last + 4] = static_cast<char>(longer & 0xff);
  damaged[last + 5] = static_cast<char>(longer >> 8);
  QUARRY_CHECK(EndsEarly(damaged));
}

}  // namespace quarry::fuzz
