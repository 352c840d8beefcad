// ToF32: what callers may pass, and how what they may not is named.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "format/levels.h"
#include "tests/status_matchers.h"

namespace quarry::format {
namespace {

using testing_support::Fails;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// All rows of `view`, converted.
Result<std::vector<float>> All(const VectorView& view) {
  std::vector<float> out(view.rows * view.dim);
  if (Status status = ToF32(view, 0, view.rows, out.data()); !status.ok()) return status;
  return out;
}

// The message for 5 rows of 20 elements, all 1 but element 17 of row 3.
template <class Number>
std::string MessageFor(double bad) {
  std::vector<Number> data(5 * 20, Number{1});
  data[3 * 20 + 17] = static_cast<Number>(bad);
  const Result<std::vector<float>> result = All(VectorView(data.data(), 5, 20));
  EXPECT_THAT(result, Fails(StatusCode::kInvalidArgument));
  return result.status().message();
}

TEST(InputTest, F32IsTakenAsItIs) {
  const std::vector<float> data = {1.5f, -0.0f, 1e-45f, 3.4028235e38f};
  const auto result = All(VectorView(data.data(), 2, 2));
  ASSERT_OK(result);
  EXPECT_EQ(std::memcmp(result.value().data(), data.data(), 4 * sizeof(float)), 0);
}

TEST(InputTest, F64IsRoundedToNearestEven) {
  const std::vector<double> data = {1 + 0x1p-24, 1 + 0x3p-24, 0.1, -1e-60};
  const auto result = All(VectorView(data.data(), 1, 4));
  ASSERT_OK(result);
  EXPECT_EQ(result.value(), (std::vector<float>{1, 1 + 0x1p-22f, 0.1f, 0}));
}

TEST(InputTest, F16BitsAreDecoded) {
  const std::vector<std::uint16_t> bits = {0x3c00, 0xbfff, 0x0001, 0x7bff};
  const auto result = All(VectorView::F16(bits.data(), 4, 1));
  ASSERT_OK(result);
  EXPECT_EQ(result.value(), (std::vector<float>{1, -1.9990234375f, 0x1p-24f, 65504}));
}

TEST(InputTest, I8KeepsItsSign) {
  const std::vector<std::int8_t> data = {-128, -1, 0, 127};
  const auto result = All(VectorView(data.data(), 2, 2));
  ASSERT_OK(result);
  EXPECT_EQ(result.value(), (std::vector<float>{-128, -1, 0, 127}));
}

TEST(InputTest, U8HasNone) {
  const std::vector<std::uint8_t> data = {0, 1, 128, 255};
  const auto result = All(VectorView(data.data(), 2, 2));
  ASSERT_OK(result);
  EXPECT_EQ(result.value(), (std::vector<float>{0, 1, 128, 255}));
}

TEST(InputTest, OnlyTheRowsAskedForAreConverted) {
  const std::vector<float> data = {std::nanf(""), 1, 2, 3, 4, 5, 6, std::nanf("")};
  std::vector<float> out(4, -1.0f);
  ASSERT_OK(ToF32(VectorView(data.data(), 4, 2), 1, 2, out.data()));
  EXPECT_EQ(out, (std::vector<float>{2, 3, 4, 5}));
}

TEST(InputTest, DataNeedsNoAlignment) {
  const double value = -2.5;
  std::vector<std::byte> bytes(1 + 3 * sizeof(double));
  for (std::size_t i = 0; i < 3; ++i) {
    std::memcpy(bytes.data() + 1 + i * sizeof(double), &value, sizeof(double));
  }
  VectorView view(static_cast<const double*>(nullptr), 1, 3);
  view.data = bytes.data() + 1;
  const auto result = All(view);
  ASSERT_OK(result);
  EXPECT_EQ(result.value(), std::vector<float>(3, -2.5f));
}

TEST(InputTest, NoRowsAreFine) { EXPECT_OK(ToF32(VectorView(), 0, 0, nullptr)); }

TEST(InputTest, NaNIsNamedWithItsPlace) {
  constexpr const char* kMessage = "row 3: element 17 is NaN; expected a finite number";
  EXPECT_EQ(MessageFor<float>(kNaN), kMessage);
  EXPECT_EQ(MessageFor<double>(kNaN), kMessage);
  EXPECT_EQ(MessageFor<float>(-kNaN), kMessage);
}

TEST(InputTest, InfinityIsNamedWithItsPlaceAndSign) {
  EXPECT_EQ(MessageFor<float>(kInfinity),
            "row 3: element 17 is infinity; expected a finite number");
  EXPECT_EQ(MessageFor<double>(-kInfinity),
            "row 3: element 17 is -infinity; expected a finite number");
}

TEST(InputTest, F16NaNAndInfinityAreRefused) {
  std::vector<std::uint16_t> bits(6, 0x3c00);
  bits[4] = 0xfc00;
  EXPECT_EQ(All(VectorView::F16(bits.data(), 2, 3)).status().message(),
            "row 1: element 1 is -infinity; expected a finite number");
  bits[4] = 0x7c01;
  EXPECT_EQ(All(VectorView::F16(bits.data(), 2, 3)).status().message(),
            "row 1: element 1 is NaN; expected a finite number");
}

TEST(InputTest, F64BeyondF32IsRefusedWithItsValue) {
  EXPECT_EQ(MessageFor<double>(-1e300),
            "row 3: element 17 is -1e+300; expected a number within the range of f32, at most "
            "3.4028235e+38 in magnitude");
}

TEST(InputTest, F64IsRefusedExactlyFromWhereItRoundsToInfinity) {
  const double first_refused = 0x1.ffffffp127;
  const double last_taken = std::nextafter(first_refused, 0.0);
  EXPECT_OK(All(VectorView(&last_taken, 1, 1)));
  EXPECT_THAT(All(VectorView(&first_refused, 1, 1)), Fails(StatusCode::kInvalidArgument));
}

TEST(InputTest, TheFirstOfSeveralIsNamed) {
  std::vector<float> data(30, 1.0f);
  data[7] = std::nanf("");
  data[3] = std::numeric_limits<float>::infinity();
  data[25] = std::nanf("");
  EXPECT_EQ(All(VectorView(data.data(), 3, 10)).status().message(),
            "row 0: element 3 is infinity; expected a finite number");
}

TEST(InputTest, RowsAreCountedInTheViewNotInTheCall) {
  std::vector<float> data(12, 1.0f);
  data[9] = std::nanf("");
  std::vector<float> out(6);
  EXPECT_EQ(ToF32(VectorView(data.data(), 4, 3), 2, 2, out.data()).message(),
            "row 3: element 0 is NaN; expected a finite number");
}

}  // namespace
}  // namespace quarry::format
