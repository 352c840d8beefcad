// Levels: how a vector becomes the bytes of a row, and back.
//
// These scalar functions define what is stored; the kernels decode to the very
// same bits. Pure, thread-safe.

#pragma once

#include <cstddef>
#include <cstdint>

#include "quarry/status.h"
#include "quarry/types.h"

namespace quarry::format {

// Bytes of one element.
std::size_t ElementBytes(Level level);

// IEEE half <-> single. To half: round to nearest, ties to even; what is beyond
// 65519.99.. becomes infinity; NaN stays NaN.
std::uint16_t F16FromF32(float value);
float F32FromF16(std::uint16_t bits);

// OCP FP8 E4M3 (bias 7, no infinities, 0x7f and 0xff are NaN, largest 448) <->
// single. To f8: round to nearest, ties to even; larger magnitudes and
// infinities become +-448, NaN stays NaN.
std::uint8_t F8FromF32(float value);
float F32FromF8(std::uint8_t code);

// Encodes one vector.
//   x       [dim] f32, finite
//   codes   [dim * ElementBytes(level)] out
//   scale   out: the factor that the decoded codes are multiplied with; 1 for
//           kF32 and kF16; positive and finite always
// Every element of the result decodes to a finite f32.
// Errors: kInvalidArgument naming the element, when kF16 cannot hold it (its
// magnitude rounds to more than 65504).
Status EncodeRow(Level level, const float* x, std::size_t dim, std::byte* codes, float* scale);

// Decodes one row: element = float(code) * scale, rounded once to f32.
//   codes   [dim * ElementBytes(level)]; no alignment needed
//   x       [dim] f32 out
void DecodeRow(Level level, const std::byte* codes, float scale, std::size_t dim, float* x);

// Converts `rows` vectors given by a caller to f32, starting at row `first`.
//   out   [rows, view.dim] f32
// Errors: kInvalidArgument naming row (counted in the view) and element of the
// first value that is NaN or infinite, in the input or once converted.
Status ToF32(const VectorView& view, std::size_t first, std::size_t rows, float* out);

}  // namespace quarry::format
