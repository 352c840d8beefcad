// quarry info STORE [COLL]: sizes, rows and slabs, of a store and its collections.

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <ctime>

#include "format/status_macros.h"
#include "tools/command.h"
#include "tools/output.h"

namespace quarry::tools {
namespace {

// In thousandths.
double Rounded(double value) { return std::round(value * 1000) / 1000; }

std::int64_t UnixMs(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

Json Describe(const CompactionRecord& record) {
  return {{"ended_at", UnixMs(record.ended)},
          {"collection", record.collection},
          {"slabs", record.slabs},
          {"rows_kept", record.rows},
          {"rows_given_up", record.dead_rows},
          {"bytes", record.bytes},
          {"seconds", RoundedSeconds(record.seconds)}};
}

Result<Json> Describe(const std::string& path, const Store& store, std::size_t collections) {
  QUARRY_ASSIGN(const StoreInfo info, store.Info());
  QUARRY_ASSIGN(const std::string_view kernels, InstructionSet());
  Json compactions = Json::array();
  for (const CompactionRecord& record : info.compactions) compactions.push_back(Describe(record));
  return Json{{"store", path},
              {"uuid", info.uuid},
              {"format_version", info.format_version},
              {"sequence", info.sequence},
              {"collections", collections},
              {"disk_bytes", info.catalog_bytes + info.slab_bytes},
              {"catalog_bytes", info.catalog_bytes},
              {"slab_bytes", info.slab_bytes},
              {"rows_dead", info.dead_vectors},
              {"reclaimable_bytes", info.reclaimable_bytes},
              {"written_bytes", info.written_bytes},
              {"compacted_bytes", info.compacted_bytes},
              {"write_amplification", Rounded(info.write_amplification)},
              {"free_bytes", info.free_bytes},
              {"kernels", kernels},
              {"version", Version()},
              {"compactions", std::move(compactions)}};
}

Json Describe(const SlabInfo& slab) {
  Json planes = Json::array({"base"});
  if (slab.sketched) planes.push_back("i8");
  if (slab.pca) planes.push_back("pca");
  return {{"number", slab.number},     {"planes", std::move(planes)}, {"first_row", slab.first_row},
          {"last_row", slab.last_row}, {"rows", slab.rows},           {"dead", slab.dead},
          {"capacity", slab.capacity}, {"bytes", slab.bytes},         {"active", slab.active}};
}

// 0..1, in thousandths.
double ShareOf(std::uint64_t part, std::uint64_t all) {
  if (all == 0) return 0;
  return Rounded(static_cast<double>(part) / static_cast<double>(all));
}

Json Describe(const CollectionInfo& info) {
  Json fields = Json::array();
  for (const Field& field : info.schema.fields) {
    fields.push_back({{"name", field.name}, {"type", ToString(field.type)}});
  }
  Json slabs = Json::array();
  for (const SlabInfo& slab : info.slabs) slabs.push_back(Describe(slab));
  return {{"collection", info.name},
          {"dim", info.schema.dim},
          {"level", ToString(info.schema.level)},
          {"metric", ToString(info.schema.metric)},
          {"id_type", ToString(info.schema.id_type)},
          {"zero_vectors", ToString(info.schema.zero_vectors)},
          {"sketch", ToString(info.schema.sketch)},
          {"fields", std::move(fields)},
          {"records", info.records},
          {"expiring", info.expiring},
          {"expired", info.expired},
          {"rows_live", info.vectors},
          {"rows_dead", info.dead_vectors},
          {"dead_share", ShareOf(info.dead_vectors, info.vectors + info.dead_vectors)},
          {"disk_bytes", info.slab_bytes + info.catalog_bytes},
          {"slab_bytes", info.slab_bytes},
          {"catalog_bytes", info.catalog_bytes},
          {"reclaimable_bytes", info.reclaimable_bytes},
          {"slabs", std::move(slabs)}};
}

// ", i8 sketch, pca sketch", or nothing.
std::string SketchesOf(const Json& planes) {
  std::string sketches;
  for (std::size_t i = 1; i < planes.size(); ++i) {
    sketches += ", " + planes[i].get<std::string>() + " sketch";
  }
  return sketches;
}

// The cells of a compaction, its time in UTC.
std::vector<std::string> CellsOf(const Json& compaction) {
  const std::time_t ended = compaction["ended_at"].get<std::int64_t>() / 1000;
  return {fmt::format("compaction {:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(ended)),
          fmt::format("{}: {} slabs, {} rows kept, {} given up, {} bytes, {} s",
                      compaction["collection"].get<std::string>(), ToText(compaction["slabs"]),
                      ToText(compaction["rows_kept"]), ToText(compaction["rows_given_up"]),
                      ToText(compaction["bytes"]), ToText(compaction["seconds"]))};
}

// With --json the object as it is; else a row for each property, and one for
// each slab, field and compaction.
Status AddObject(const Json& object, Output* output) {
  if (output->json()) return output->Add(object);
  for (const auto& [key, value] : object.items()) {
    if (key == "slabs") {
      for (const Json& slab : value) {
        QUARRY_TRY(output->AddRow(
            {fmt::format("slab {}", ToText(slab["number"])),
             fmt::format("rows {}..{}: {} of {}, {} dead, {} bytes{}", ToText(slab["first_row"]),
                         ToText(slab["last_row"]), ToText(slab["rows"]), ToText(slab["capacity"]),
                         ToText(slab["dead"]), ToText(slab["bytes"]),
                         slab["active"] == true ? ", active" : "") +
                 SketchesOf(slab["planes"])}));
      }
    } else if (key == "compactions") {
      for (const Json& compaction : value) QUARRY_TRY(output->AddRow(CellsOf(compaction)));
    } else if (key == "fields") {
      for (const Json& field : value) {
        QUARRY_TRY(output->Add(
            {{"property", "field " + field["name"].get<std::string>()}, {"value", field["type"]}}));
      }
    } else {
      QUARRY_TRY(output->Add({{"property", key}, {"value", value}}));
    }
  }
  return Status::Ok();
}

}  // namespace

Result<int> RunInfo(const GlobalOptions& global, const CollectionOptions& options) {
  QUARRY_ASSIGN(const std::unique_ptr<Store> store, OpenStore(global, Access::kRead));
  Output output(global, {"property", "value"});
  std::vector<std::string> names = {options.collection};
  if (options.collection.empty()) {
    QUARRY_ASSIGN(names, store->ListCollections());
    QUARRY_ASSIGN(const Json object, Describe(global.store, *store, names.size()));
    QUARRY_TRY(AddObject(object, &output));
  }
  for (const std::string& name : names) {
    QUARRY_ASSIGN(const Collection collection, store->GetCollection(name));
    QUARRY_ASSIGN(const CollectionInfo info, collection.Info());
    QUARRY_TRY(AddObject(Describe(info), &output));
  }
  QUARRY_TRY(output.Close());
  return kExitOk;
}

}  // namespace quarry::tools
