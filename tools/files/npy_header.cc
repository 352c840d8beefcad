#include "tools/files/npy_header.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <optional>

#include "format/status_macros.h"
#include "tools/files/bytes.h"

namespace quarry::tools {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
// Those of plain arrays have a hundred bytes; structured types may need more.
constexpr std::size_t kMaxHeaderBytes = std::size_t{1} << 20;
// Room for any two sizes; a multiple of 64, as the format wants.
constexpr std::size_t kWrittenHeaderBytes = 128;
constexpr std::size_t kMaxDimensions = 32;  // NumPy's own limit

// Reads the Python literals that a header consists of.
class DictionaryParser {
 public:
  explicit DictionaryParser(std::string_view text) : text_(text) {}

  Result<NpyHeader> Parse() {
    if (!Take('{')) return Wrong("'{'");
    while (!Take('}')) {
      QUARRY_ASSIGN(const std::string key, String());
      if (!Take(':')) return Wrong("':' behind the key '" + key + "'");
      QUARRY_TRY(Value(key));
      if (Take(',')) continue;
      if (!Take('}')) return Wrong("',' or '}'");
      break;
    }
    SkipSpace();
    if (at_ != text_.size()) return Wrong("nothing behind '}'");
    if (!descr_) return Status::InvalidArgument("the header lacks 'descr'");
    if (!fortran_order_) return Status::InvalidArgument("the header lacks 'fortran_order'");
    if (!shape_) return Status::InvalidArgument("the header lacks 'shape'");
    return NpyHeader{*descr_, *fortran_order_, *shape_};
  }

 private:
  Status Value(const std::string& key) {
    if (key == "descr" && !descr_) {
      SkipSpace();
      if (at_ < text_.size() && text_[at_] == '[') {
        return Status::InvalidArgument("structured arrays are not vectors, expected one number");
      }
      QUARRY_ASSIGN(descr_, String());
      return Status::Ok();
    }
    if (key == "fortran_order" && !fortran_order_) {
      if (TakeWord("True")) {
        fortran_order_ = true;
      } else if (TakeWord("False")) {
        fortran_order_ = false;
      } else {
        return Wrong("True or False for 'fortran_order'");
      }
      return Status::Ok();
    }
    if (key == "shape" && !shape_) return Shape();
    return Status::InvalidArgument("the header has the key '" + key +
                                   "', expected descr, fortran_order and shape once each");
  }

  Status Shape() {
    if (!Take('(')) return Wrong("'(' of the shape");
    shape_.emplace();
    while (!Take(')')) {
      SkipSpace();
      std::uint64_t size = 0;
      const char* begin = text_.data() + at_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), size);
      if (error != std::errc()) return Wrong("a size of 0 or more in the shape");
      at_ += static_cast<std::size_t>(end - begin);
      // Files of Python 2 have long integers: 2L.
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;
      shape_->push_back(size);
      if (shape_->size() > kMaxDimensions) return Wrong("at most 32 dimensions");
      if (Take(',')) continue;
      if (!Take(')')) return Wrong("',' or ')' in the shape");
      break;
    }
    return Status::Ok();
  }

  Result<std::string> String() {
    SkipSpace();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') return Wrong("a string");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return Wrong("the end of a string");
    const std::string_view text = text_.substr(at_ + 1, end - at_ - 1);
    for (const char c : text) {
      if (std::isprint(static_cast<unsigned char>(c)) == 0 || c == '\\') {
        return Wrong("a string of plain ASCII");
      }
    }
    at_ = end + 1;
    return std::string(text);
  }

  bool Take(char c) {
    SkipSpace();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool TakeWord(std::string_view word) {
    SkipSpace();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  void SkipSpace() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  Status Wrong(const std::string& expected) const {
    const auto c = static_cast<unsigned char>(at_ < text_.size() ? text_[at_] : 0);
    const std::string got = at_ >= text_.size()    ? "its end"
                            : std::isprint(c) != 0 ? fmt::format("'{}'", static_cast<char>(c))
                                                   : fmt::format("byte 0x{:02x}", c);
    return Status::InvalidArgument(
        fmt::format("character {} of the header: expected {}, got {}", at_, expected, got));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::optional<std::string> descr_;
  std::optional<bool> fortran_order_;
  std::optional<std::vector<std::uint64_t>> shape_;
};

}  // namespace

Result<NpyHeader> ParseNpyDictionary(std::string_view text) {
  return DictionaryParser(text).Parse();
}

Result<NpyHeader> ReadNpyHeader(ByteStream* stream) {
  char start[8];
  QUARRY_TRY(stream->ReadExactly(start, sizeof(start), "magic and version of a NumPy array"));
  if (std::string_view(start, kMagic.size()) != kMagic) {
    return Status::InvalidArgument(stream->name() + ": is not a NumPy array, its magic is wrong");
  }
  const int major = static_cast<unsigned char>(start[6]);
  const int minor = static_cast<unsigned char>(start[7]);
  if (major < 1 || major > 3 || minor != 0) {
    return Status::InvalidArgument(
        fmt::format("{}: NumPy array of version {}.{}, expected 1.0, 2.0 or 3.0", stream->name(),
                    major, minor));
  }
  char length[4] = {};
  QUARRY_TRY(stream->ReadExactly(length, major == 1 ? 2 : 4, "the header's length"));
  const std::size_t bytes =
      major == 1 ? LoadLittle<std::uint16_t>(length) : LoadLittle<std::uint32_t>(length);
  if (bytes > kMaxHeaderBytes) {
    return Status::InvalidArgument(fmt::format("{}: a header of {} bytes, expected at most {}",
                                               stream->name(), bytes, kMaxHeaderBytes));
  }
  std::vector<std::byte> text;
  QUARRY_TRY(stream->ReadExactly(&text, bytes, "header"));
  auto header = ParseNpyDictionary({reinterpret_cast<const char*>(text.data()), text.size()});
  if (!header.ok()) return header.status().WithContext(stream->name());
  return header;
}

Result<ElementFormat> NumericFormat(const std::string& descr) {
  const auto refuse = [&](std::string_view what) {
    return Status::InvalidArgument(
        fmt::format("elements of type '{}' {}, expected floats, integers or bool", descr, what));
  };
  if (descr.size() < 2 || std::string_view("<>|=").find(descr[0]) == std::string_view::npos) {
    return refuse("are not known");
  }
  switch (descr[1]) {
    case 'O':
      return refuse("are pickled Python objects");
    case 'U':
    case 'S':
    case 'a':
      return refuse("are strings");
    case 'V':
      return refuse("are structures");
    case 'c':
      return refuse("are complex");
    case 'M':
    case 'm':
      return refuse("are dates");
    default:
      break;
  }
  ElementFormat format{descr[1], 0, descr[0] == '>'};
  const char* end = descr.data() + descr.size();
  const auto [stop, error] = std::from_chars(descr.data() + 2, end, format.bytes);
  if (error != std::errc() || stop != end || !IsSupported(format)) return refuse("are not known");
  // '|' says that no byte order is needed.
  if (format.bytes > 1 && descr[0] == '|') return refuse("lack a byte order");
  if (format.bytes == 1) format.big_endian = false;
  return format;
}

std::string MakeNpyHeader(std::string_view descr, const std::vector<std::uint64_t>& shape) {
  std::string dictionary = "{'descr': '";
  dictionary.append(descr).append("', 'fortran_order': False, 'shape': ");
  dictionary.append(ShapeToString(shape)).append(", }");
  constexpr std::size_t kPrefixBytes = 10;  // magic, version, length
  const std::size_t used = kPrefixBytes + dictionary.size() + 1;
  dictionary.append(kWrittenHeaderBytes - used % kWrittenHeaderBytes, ' ');
  dictionary += '\n';

  std::string header(kMagic);
  header.append({'\x01', '\x00'});
  AppendLittle(static_cast<std::uint16_t>(dictionary.size()), &header);
  return header + dictionary;
}

std::string ShapeToString(const std::vector<std::uint64_t>& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  text += shape.size() == 1 ? ",)" : ")";
  return text;
}

}  // namespace quarry::tools
