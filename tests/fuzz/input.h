// The bytes that a fuzzer gives, taken apart from the front.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace quarry::fuzz {

// Where the bytes end, zeros follow.
class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}

  template <class Number>
  Number Take() {
    static_assert(std::is_arithmetic_v<Number>);
    Number value{};
    const std::string_view bytes = TakeBytes(sizeof(value));
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }

  // At most `count` bytes.
  std::string_view TakeBytes(std::size_t count) {
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(taken.size());
    return taken;
  }

  // A length of one byte, then as many.
  std::string TakeText() { return std::string(TakeBytes(Take<std::uint8_t>())); }

  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
};

}  // namespace quarry::fuzz
