#include "tools/files/csv_columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "format/status_macros.h"

namespace quarry::tools {
namespace {

constexpr std::string_view kDigits = "0123456789";

// Columns that share all but a number at the end (or one before a closing bracket).
struct Group {
  std::vector<std::size_t> columns;
  std::vector<std::uint64_t> numbers;
};

// Splits "v12" or "v[12]" into what comes before the number and the number;
// nullopt when there is none, or when it has leading zeros that a sequence of
// plain numbers would not have.
std::optional<std::pair<std::string, std::uint64_t>> SplitName(std::string_view name) {
  if (name.ends_with(']')) name.remove_suffix(1);
  const std::size_t last = name.find_last_not_of(kDigits);
  const std::size_t start = last == std::string_view::npos ? 0 : last + 1;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data() + start, name.data() + name.size(), number);
  if (start == name.size() || error != std::errc() || end != name.data() + name.size()) {
    return std::nullopt;
  }
  return std::pair(std::string(name.substr(0, start)), number);
}

bool IsNumber(const std::string& name) {
  double number = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data(), end, number);
  return error != std::errc::invalid_argument && stop == end;
}

bool IsSequence(const Group& group) {
  if (group.columns.size() < 2 || group.numbers[0] > 1) return false;
  for (std::size_t i = 1; i < group.numbers.size(); ++i) {
    if (group.numbers[i] != group.numbers[0] + i) return false;
  }
  return true;
}

Result<std::vector<std::size_t>> ChooseElements(const CsvColumns& columns,
                                                const std::string& vector_field, bool is_named) {
  std::map<std::string, Group> groups;
  for (std::size_t i = 0; i < columns.names.size(); ++i) {
    if (columns.id == i || columns.expires == i) continue;
    const auto split = SplitName(columns.names[i]);
    if (!split) continue;
    groups[split->first].columns.push_back(i);
    groups[split->first].numbers.push_back(split->second);
  }
  std::erase_if(groups, [](const auto& entry) { return !IsSequence(entry.second); });
  const bool several = groups.size() > 1;
  if (several || is_named) {
    // v, v_, v. and v[ all belong to the vector v.
    std::erase_if(groups, [&](const auto& entry) {
      const std::string& prefix = entry.first;
      return !prefix.starts_with(vector_field) || prefix.size() > vector_field.size() + 1;
    });
  }
  if (groups.size() != 1) {
    if (is_named && groups.empty()) return std::vector<std::size_t>();
    return Status::InvalidArgument(fmt::format(
        "{} column named {} or numbered from 0 or 1 (v0,v1,..) holds the vectors; the first line "
        "has to name the columns, --vector-field that of the vector",
        several ? "more than one" : "no", vector_field));
  }
  return groups.begin()->second.columns;
}

}  // namespace

Result<CsvColumns> ChooseCsvColumns(std::vector<std::string> names,
                                    const RecordReaderOptions& options) {
  CsvColumns columns;
  columns.names = std::move(names);
  if (std::all_of(columns.names.begin(), columns.names.end(), IsNumber)) {
    return Status::InvalidArgument(
        "the first line has numbers alone, expected the names of the columns");
  }
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < columns.names.size(); ++i) {
    const std::string& name = columns.names[i];
    if (!seen.insert(name).second) {
      return Status::InvalidArgument(fmt::format("two columns are named '{}'", name));
    }
    if (!options.id_field.empty() && name == options.id_field) columns.id = i;
    if (!options.expires_field.empty() && name == options.expires_field) columns.expires = i;
    if (!options.vector_field.empty() && name == options.vector_field) columns.vector = i;
  }
  std::set<std::string> found(columns.names.begin(), columns.names.end());
  if (!columns.vector) {
    const bool is_named = options.named.count(options.vector_field) != 0;
    QUARRY_ASSIGN(columns.elements, ChooseElements(columns, options.vector_field, is_named));
    if (!columns.elements.empty()) found.insert(options.vector_field);
  }
  QUARRY_TRY(CheckNamedFields(options, found, "there is no column"));
  std::vector<bool> taken(columns.names.size());
  for (const std::size_t i : columns.elements) taken[i] = true;
  for (std::size_t i = 0; i < columns.names.size(); ++i) {
    if (columns.id == i || columns.vector == i || columns.expires == i || taken[i]) continue;
    if (columns.names[i].empty()) {
      return Status::InvalidArgument(fmt::format("column {} has no name", i + 1));
    }
    columns.metadata.push_back(i);
  }
  return columns;
}

}  // namespace quarry::tools
