#include "tools/damage_output.h"

#include <fmt/format.h>

#include <algorithm>

namespace quarry::tools {
namespace {

constexpr std::size_t kIdsShown = 8;

}  // namespace

Json ToJson(const Damage& damage) {
  Json json = Json::object();
  if (!damage.collection.empty()) json["collection"] = damage.collection;
  if (damage.slab) json["slab"] = *damage.slab;
  if (damage.rows) json["rows"] = {damage.rows->first, damage.rows->second};
  Json ids = Json::array();
  for (const Id& id : damage.ids) ids.push_back(ToJson(id));
  json["ids"] = std::move(ids);
  if (damage.ids_total > damage.ids.size()) json["ids_total"] = damage.ids_total;
  json["file"] = damage.file;
  json["text"] = damage.text;
  return json;
}

Json ToJson(std::span<const Damage> damages) {
  Json list = Json::array();
  for (const Damage& damage : damages) list.push_back(ToJson(damage));
  return list;
}

std::vector<std::string> DamageColumns() {
  return {"file", "collection", "slab", "rows", "ids", "what"};
}

Status AddDamage(const Damage& damage, Output& output) {
  std::string ids;
  const std::size_t shown = std::min(damage.ids.size(), kIdsShown);
  for (std::size_t i = 0; i < shown; ++i) ids += (i == 0 ? "" : ",") + damage.ids[i].ToString();
  if (damage.ids_total > shown) ids += fmt::format(" and {} more", damage.ids_total - shown);
  return output.AddRow(
      {damage.file, damage.collection, damage.slab ? std::to_string(*damage.slab) : "",
       damage.rows ? fmt::format("{}..{}", damage.rows->first, damage.rows->second) : "", ids,
       damage.text});
}

}  // namespace quarry::tools
