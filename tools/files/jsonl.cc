#include "tools/files/jsonl.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "format/status_macros.h"
#include "tools/files/lines.h"

namespace quarry::tools {
namespace {

namespace dom = simdjson::dom;

static_assert(LineReader::kPaddingBytes >= simdjson::SIMDJSON_PADDING);

constexpr std::string_view kExpiresAt = "expires_at";

// The members of one line that mean something.
struct Members {
  std::optional<dom::element> id;
  std::optional<dom::element> vector;
  std::optional<dom::element> metadata;    // the member of this name
  std::optional<dom::element> expires;     // options.expires_field
  std::size_t others = 0;                  // how many beside these
  std::optional<dom::element> expires_at;  // one of the others
};

std::string_view KindOf(dom::element value) {
  switch (value.type()) {
    case dom::element_type::ARRAY:
      return "an array";
    case dom::element_type::OBJECT:
      return "an object";
    case dom::element_type::INT64:
    case dom::element_type::UINT64:
    case dom::element_type::DOUBLE:
      return "a number";
    case dom::element_type::STRING:
      return "a string";
    case dom::element_type::BOOL:
      return "a bool";
    case dom::element_type::NULL_VALUE:
      return "null";
  }
  return "unknown";
}

Status ReadId(const std::string& field, dom::element value, std::optional<Id>* id) {
  std::uint64_t number = 0;
  std::string_view text;
  if (value.get(number) == simdjson::SUCCESS) {
    *id = Id(number);
  } else if (value.get(text) == simdjson::SUCCESS) {
    *id = Id(text);
  } else {
    const bool is_number = value.is_number();
    return Status::InvalidArgument(
        fmt::format("the id (field {}) is {}, expected a string or a whole number of 0 or more",
                    field, is_number ? simdjson::minify(value) : std::string(KindOf(value))));
  }
  return Status::Ok();
}

Status ReadExpiry(std::string_view field, dom::element value, std::int64_t* expires_at_unix_ms) {
  if (value.is_null()) return Status::Ok();
  if (value.get(*expires_at_unix_ms) == simdjson::SUCCESS && *expires_at_unix_ms >= 0) {
    return Status::Ok();
  }
  return Status::InvalidArgument(
      fmt::format("the expiry (field {}) is {}, expected milliseconds since 1970, or 0 for never",
                  field, value.is_number() ? simdjson::minify(value) : std::string(KindOf(value))));
}

Status ReadVector(const std::string& field, dom::element value, std::vector<double>* vector) {
  dom::array array;
  if (value.get(array) != simdjson::SUCCESS) {
    return Status::InvalidArgument(
        fmt::format("the vector (field {}) is {}, expected an array", field, KindOf(value)));
  }
  for (const dom::element element : array) {
    double number = 0;
    if (element.get(number) != simdjson::SUCCESS) {
      return Status::InvalidArgument(fmt::format(
          "element {} of the vector is {}, expected a number", vector->size(), KindOf(element)));
    }
    vector->push_back(number);
  }
  return Status::Ok();
}

class JsonlReader final : public RecordReader {
 public:
  JsonlReader(std::unique_ptr<ByteStream> stream, const RecordReaderOptions& options)
      : lines_(std::move(stream)), options_(options) {}

  Result<bool> Next(FileRecord* record) override {
    while (true) {
      QUARRY_ASSIGN(const std::optional<std::string_view> line, lines_.Next());
      if (!line) return AtEnd();
      if (IsBlank(*line)) continue;
      *record = FileRecord();
      record->line = lines_.line();
      Status problem = Parse(*line, record);
      if (!problem.ok()) {
        *record = FileRecord();
        record->line = lines_.line();
        record->problem = problem.WithContext(lines_.Where());
      }
      return true;
    }
  }

  void SetFields(const std::vector<Field>&) override {}  // values have their types
  std::optional<double> fraction() const override { return lines_.fraction(); }

 private:
  Result<bool> AtEnd() const {
    if (!records_) return false;
    const Status status = CheckNamedFields(options_, seen_, "no record has the field");
    return status.ok() ? Result<bool>(false) : status.WithContext(lines_.name());
  }

  // Remembers a few names of fields, and all of those that the user named.
  void See(std::string_view field) {
    constexpr std::size_t kShown = 16;
    if (options_.named.empty()) return;
    std::string name(field);
    if (seen_.size() < kShown || options_.named.count(name) != 0) seen_.insert(std::move(name));
  }

  // The line may be read beyond its end: LineReader pads it.
  Status Parse(std::string_view line, FileRecord* record) {
    dom::element root;
    const auto error = parser_.parse(line.data(), line.size(), false).get(root);
    if (error != simdjson::SUCCESS) {
      if (error == simdjson::NUMBER_ERROR) {
        return Status::InvalidArgument(fmt::format(
            "has a number that is malformed or out of range, expected whole numbers from {} to {} "
            "and others up to 1.8e308",
            INT64_MIN, UINT64_MAX));
      }
      return Status::InvalidArgument(
          fmt::format("not valid JSON: {}", simdjson::error_message(error)));
    }
    dom::object object;
    if (root.get(object) != simdjson::SUCCESS) {
      return Status::InvalidArgument(
          fmt::format("the line is {}, expected an object", KindOf(root)));
    }
    Members members;
    QUARRY_TRY(FindMembers(object, &members));
    records_ = true;
    if (members.id && !members.id->is_null()) {
      QUARRY_TRY(ReadId(options_.id_field, *members.id, &record->id));
    }
    if (members.vector && !members.vector->is_null()) {
      QUARRY_TRY(ReadVector(options_.vector_field, *members.vector, &record->vector));
      record->has_vector = true;
    }
    // As it is exported: id, vector, metadata and expiry, each on its own.
    const bool exported = members.others == 1 && members.expires_at && members.metadata &&
                          (members.metadata->is_object() || members.metadata->is_null());
    if (members.expires) {
      QUARRY_TRY(ReadExpiry(options_.expires_field, *members.expires, &record->expires_at_unix_ms));
    } else if (exported) {
      QUARRY_TRY(ReadExpiry(kExpiresAt, *members.expires_at, &record->expires_at_unix_ms));
      members.others = 0;
    }
    const bool expires = members.expires || exported;
    if (expires && members.others == 0 && members.metadata && members.metadata->is_null()) {
      return Status::Ok();
    }
    if (members.others == 0 && members.metadata && members.metadata->is_object()) {
      record->metadata = simdjson::minify(*members.metadata);
    } else if (members.others > 0 || members.metadata) {
      record->metadata = OtherMembers(object);
    }
    return Status::Ok();
  }

  bool IsId(std::string_view key) const {
    return !options_.id_field.empty() && key == options_.id_field;
  }
  bool IsVector(std::string_view key) const {
    return !options_.vector_field.empty() && key == options_.vector_field;
  }

  bool IsExpiry(std::string_view key) const {
    return !options_.expires_field.empty() && key == options_.expires_field;
  }

  bool IsMetadata(std::string_view key) const {
    return !options_.metadata_field.empty() && key == options_.metadata_field;
  }

  Status FindMembers(dom::object object, Members* members) {
    for (const auto& [key, value] : object) {
      See(key);
      std::optional<dom::element>* member = IsId(key)         ? &members->id
                                            : IsVector(key)   ? &members->vector
                                            : IsExpiry(key)   ? &members->expires
                                            : IsMetadata(key) ? &members->metadata
                                                              : nullptr;
      if (member == nullptr) {
        ++members->others;
        if (options_.expires_field.empty() && !options_.metadata_field.empty() &&
            key == kExpiresAt) {
          members->expires_at = value;
        }
      } else if (member->has_value()) {
        return Status::InvalidArgument(fmt::format("has the field {} twice", key));
      } else {
        *member = value;
      }
    }
    return Status::Ok();
  }

  std::string OtherMembers(dom::object object) const {
    std::string text = "{";
    for (const dom::key_value_pair& member : object) {
      if (IsId(member.key) || IsVector(member.key) || IsExpiry(member.key)) continue;
      if (text.size() > 1) text += ',';
      text += nlohmann::json(member.key).dump();
      text += ':';
      text += simdjson::minify(member.value);
    }
    return text + "}";
  }

  LineReader lines_;
  RecordReaderOptions options_;
  bool records_ = false;        // at least one line was an object
  std::set<std::string> seen_;  // names of fields
  dom::parser parser_;
};

}  // namespace

Result<std::unique_ptr<RecordReader>> OpenJsonl(std::unique_ptr<ByteStream> stream,
                                                const RecordReaderOptions& options) {
  // A JSON text that is no sequence of lines is told at once: most often one
  // array of all records. Few bytes, as whoever writes a pipe may wait.
  QUARRY_ASSIGN(const std::string_view start, stream->Peek(8));
  const std::size_t first = start.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (first != std::string_view::npos && start[first] != '{') {
    return Status::InvalidArgument(fmt::format(
        "{}: begins with {}, expected jsonl: one object for each line", stream->name(),
        start[first] == '[' ? "'['" : fmt::format("byte 0x{:02x}", +start[first] & 0xff)));
  }
  return std::unique_ptr<RecordReader>(std::make_unique<JsonlReader>(std::move(stream), options));
}

}  // namespace quarry::tools
