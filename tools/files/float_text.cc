#include "tools/files/float_text.h"

#include <charconv>
#include <cstddef>
#include <system_error>

namespace quarry::tools {
namespace {

// Enough for any double in its shortest form.
constexpr std::size_t kMaxDigits = 32;

}  // namespace

void AppendVectorText(std::span<const float> vector, std::string* text) {
  *text += '[';
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (i > 0) *text += ',';
    const float value = vector[i];
    char digits[kMaxDigits];
    char* end = std::to_chars(digits, digits + kMaxDigits, value).ptr;
    double read = 0;
    std::from_chars(digits, end, read);
    if (static_cast<float>(read) != value) {
      // Rounded twice, the digits fall on the other side: those of the f64 do not.
      end = std::to_chars(digits, digits + kMaxDigits, static_cast<double>(value)).ptr;
    }
    const std::size_t size = static_cast<std::size_t>(end - digits);
    text->append(digits, size);
    // A JSON reader may take "-0" for an integer, which has no sign.
    if (size == 2 && digits[0] == '-' && digits[1] == '0') *text += ".0";
  }
  *text += ']';
}

}  // namespace quarry::tools
