// The command line, without what it asks for being done, and the values of options.

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "format/levels.h"
#include "format/status_macros.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/targets.h"
#include "tools/cli.h"
#include "tools/cli_values.h"
#include "tools/files/float_text.h"
#include "tools/files/id_list.h"
#include "tools/output.h"

namespace quarry::fuzz {
namespace {

void CheckNumbers(const std::string& text) {
  const auto counts = tools::ParseCounts(text, 2, 1000);
  if (counts.ok()) {
    QUARRY_CHECK(!counts->empty());
    for (const std::size_t count : *counts) QUARRY_CHECK(count >= 2 && count <= 1000);
  }
  const auto real = tools::ParseReal(text);
  QUARRY_CHECK(!real.ok() || std::isfinite(*real));
  const auto id = tools::ParseIdNumber(text);
  QUARRY_CHECK(!id || std::to_string(*id) == text);
  const auto parsed = tools::ParseId(text, IdType::kString);
  QUARRY_CHECK(!parsed.ok() || parsed->text() == text);
}

void CheckWords(const std::string& text) {
  const auto with = tools::ParseWith(text);
  QUARRY_CHECK(!with.ok() || with->metadata || with->vector);
  const auto field = tools::ParseField(text);
  if (field.ok()) {
    QUARRY_CHECK(field->name + ":" + std::string(ToString(field->type)) == text);
  }
  (void)tools::ParseOnBad(text);
  const auto level = ParseLevel(text);
  QUARRY_CHECK(!level.ok() || ToString(*level) == text);
  const auto metric = ParseMetric(text);
  QUARRY_CHECK(!metric.ok() || ToString(*metric) == text);
  for (const char c : tools::OneLine(text)) {
    QUARRY_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  }
}

// The text of a vector reads back as the same elements.
void CheckVectorText(Input input) {
  std::vector<float> vector;
  while (!input.rest().empty() && vector.size() < 16) {
    const auto element = input.Take<float>();
    if (std::isfinite(element)) vector.push_back(element);
  }
  std::string text;
  tools::AppendVectorText(vector, &text);
  const char* at = text.data() + 1;
  for (const float element : vector) {
    double read = 0;
    const auto [end, error] = std::from_chars(at, text.data() + text.size(), read);
    QUARRY_CHECK(error == std::errc());
    QUARRY_CHECK(std::bit_cast<std::uint32_t>(static_cast<float>(read)) ==
                 std::bit_cast<std::uint32_t>(element));
    at = end + 1;
  }
  QUARRY_CHECK(text.front() == '[' && text.back() == ']');
}

// A row that a level takes decodes to finite elements.
void CheckLevels(Input input) {
  std::vector<float> row;
  while (!input.rest().empty() && row.size() < 16) {
    const auto element = input.Take<float>();
    if (std::isfinite(element)) row.push_back(element);
  }
  if (row.empty()) return;
  std::vector<std::byte> codes(row.size() * sizeof(float));
  std::vector<float> decoded(row.size());
  for (const Level level : {Level::kF32, Level::kF16, Level::kF8, Level::kI8}) {
    float scale = 0;
    const Status status = format::EncodeRow(level, row.data(), row.size(), codes.data(), &scale);
    QUARRY_CHECK(status.ok() || level == Level::kF16);
    if (!status.ok()) continue;
    QUARRY_CHECK(scale > 0 && std::isfinite(scale));
    format::DecodeRow(level, codes.data(), scale, row.size(), decoded.data());
    for (const float element : decoded) QUARRY_CHECK(std::isfinite(element));
    QUARRY_CHECK(level != Level::kF32 || decoded == row);
  }
}

}  // namespace

// Arguments are lines.
void Arguments(std::string_view bytes) {
  std::vector<std::string> arguments = {"quarry"};
  for (std::size_t begin = 0; begin < bytes.size() && arguments.size() < 64;) {
    const std::size_t end = std::min(bytes.find('\n', begin), bytes.size());
    // What follows a NUL no program sees.
    arguments.emplace_back(std::string(bytes.substr(begin, end - begin)).c_str());
    begin = end + 1;
  }
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const std::optional<int> code =
      tools::CommandLine().Parse(static_cast<int>(arguments.size()), pointers.data());
  QUARRY_CHECK(!code || *code == tools::kExitOk || *code == tools::kExitUsage);
}

void Values(std::string_view bytes) {
  const std::string text(bytes);
  CheckNumbers(text);
  CheckWords(text);
  CheckVectorText(Input(bytes));
  CheckLevels(Input(bytes));
}

}  // namespace quarry::fuzz
