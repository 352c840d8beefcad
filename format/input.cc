// ToF32: the vectors of a caller, checked and as f32.

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

#include "format/levels.h"
#include "format/number_text.h"
#include "format/small_float.h"
#include "format/status_macros.h"

namespace quarry::format {
namespace {

struct HalfElement {
  std::uint16_t bits;
};

float AsF32(float value) { return value; }
// Beyond the range of f32 this yields infinity, which the check finds.
float AsF32(double value) { return static_cast<float>(value); }
float AsF32(HalfElement value) { return F32FromHalf(value.bits); }
float AsF32(std::int8_t value) { return static_cast<float>(value); }
float AsF32(std::uint8_t value) { return static_cast<float>(value); }

// Element `index` of `data`, which may be unaligned, as in a mapped file.
template <class Element>
Element Get(const std::byte* data, std::size_t index) {
  Element element;
  std::memcpy(&element, data + index * sizeof(Element), sizeof(Element));
  return element;
}

bool AllFinite(const float* x, std::size_t dim) {
  std::int32_t not_finite = 0;
  for (std::size_t i = 0; i < dim; ++i) not_finite |= MagnitudeBits(x[i]) >= kF32Infinity ? 1 : 0;
  return not_finite == 0;
}

// What is wrong with an element that came out as `converted`, which is not finite.
template <class Element>
std::string Describe(Element given, float converted) {
  if constexpr (std::is_same_v<Element, double>) {
    if (std::isfinite(given)) {
      return NumberText(given) + "; expected a number within the range of f32, at most " +
             NumberText(std::numeric_limits<float>::max()) + " in magnitude";
    }
  }
  const char* name = std::isnan(converted) ? "NaN" : converted > 0 ? "infinity" : "-infinity";
  return std::string(name) + "; expected a finite number";
}

template <class Element>
Status Convert(const VectorView& view, std::size_t first, std::size_t rows, float* out) {
  for (std::size_t r = 0; r < rows; ++r, out += view.dim) {
    const std::byte* in =
        static_cast<const std::byte*>(view.data) + (first + r) * view.dim * sizeof(Element);
    for (std::size_t i = 0; i < view.dim; ++i) out[i] = AsF32(Get<Element>(in, i));
    if constexpr (std::is_integral_v<Element>) continue;
    if (AllFinite(out, view.dim)) continue;
    std::size_t i = 0;
    while (std::isfinite(out[i])) ++i;
    return Status::InvalidArgument("row " + std::to_string(first + r) + ": element " +
                                   std::to_string(i) + " is " +
                                   Describe(Get<Element>(in, i), out[i]));
  }
  return Status::Ok();
}

}  // namespace

Status ToF32(const VectorView& view, std::size_t first, std::size_t rows, float* out) {
  switch (view.type) {
    case InputType::kF32:
      return Convert<float>(view, first, rows, out);
    case InputType::kF64:
      return Convert<double>(view, first, rows, out);
    case InputType::kF16:
      return Convert<HalfElement>(view, first, rows, out);
    case InputType::kI8:
      return Convert<std::int8_t>(view, first, rows, out);
    case InputType::kU8:
      return Convert<std::uint8_t>(view, first, rows, out);
  }
  QUARRY_CHECK(false);
}

}  // namespace quarry::format
