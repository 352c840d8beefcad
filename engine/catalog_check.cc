#include "engine/catalog_check.h"

#include <algorithm>
#include <array>
#include <set>

#include "format/catalog_values.h"
#include "format/keys.h"
#include "format/status_macros.h"
#include "storage/catalog_files.h"
#include "storage/log_check.h"

namespace quarry::engine {
namespace {

using storage::Vfs;

class CatalogFilesCheck {
 public:
  CatalogFilesCheck(const storage::Catalog& catalog, std::uint64_t sequence, Throttle& throttle,
                    DamageList& damages, std::vector<std::string>& notes)
      : catalog_(catalog),
        directory_(catalog.directory()),
        sequence_(sequence),
        throttle_(throttle),
        damages_(damages),
        notes_(notes) {}

  Status Run() {
    const auto tables = catalog_.Tables();
    std::set<std::string> listed;
    for (const auto& table : tables) {
      listed.insert(table.name);
      const Status fault =
          storage::CheckTable(directory_.vfs(), directory_.catalog_path(), table,
                              [&](std::uint64_t bytes) { return throttle_.Add(bytes); });
      if (fault.code() == StatusCode::kCancelled) return fault;
      if (!fault.ok() && !Gone(table.name)) {
        damages_.Add(DamageOf(fault.WithContext("family " + table.family), Name(table.name)));
      }
    }
    return ForEachName([&](const std::string& name) {
      if (name.ends_with(".sst") && listed.count(name) == 0 && !online()) LookAtTable(name);
      return LookAtLog(name);
    });
  }

  Status RunLogs() {
    return ForEachName([&](const std::string& name) { return LookAtLog(name); });
  }

 private:
  template <class Look>
  Status ForEachName(const Look& look) {
    const auto names = directory_.vfs().List(directory_.catalog_path());
    if (!names.ok()) {
      damages_.Add(DamageOf(names.status(), "catalog"));
      return Status::Ok();
    }
    for (const std::string& name : *names) QUARRY_TRY(look(name));
    return Status::Ok();
  }

  static std::string Name(const std::string& name) { return "catalog/" + name; }
  bool online() const { return !directory_.read_only(); }

  // Whether a store in use has removed a file since it was listed.
  bool Gone(const std::string& name) const {
    const auto exists = directory_.vfs().Exists(directory_.catalog_path() + "/" + name);
    return online() && exists.ok() && !*exists;
  }

  Status LookAtLog(const std::string& name) {
    if (!name.starts_with("MANIFEST-") && !name.ends_with(".log")) return Status::Ok();
    const auto file =
        directory_.vfs().OpenFile(directory_.catalog_path() + "/" + name, Vfs::Open::kRead);
    if (!file.ok()) {
      if (!Gone(name)) damages_.Add(DamageOf(file.status(), Name(name)));
      return Status::Ok();
    }
    Status fault;
    const auto bytes = (*file)->Size();
    if (bytes.ok()) {
      const auto checked = storage::CheckLog(
          **file, *bytes, [&](std::uint64_t read) { return throttle_.Add(read); });
      fault = checked.status();
      if (checked.ok() && *checked) {
        const std::string what =
            (*checked)->what + " at byte " + std::to_string((*checked)->offset);
        if (!(*checked)->cut) {
          fault = Status::Corruption(what);
        } else if (!online()) {
          notes_.push_back(Name(name) + ": " + what + ": its last write was cut short");
        }
      }
    } else {
      fault = bytes.status();
    }
    if (fault.code() == StatusCode::kCancelled) return fault;
    if (!fault.ok()) damages_.Add(DamageOf(fault, Name(name)));
    return Status::Ok();
  }

  // A table that a crash left holds nothing newer than the catalog: its log has it all.
  void LookAtTable(const std::string& name) {
    const auto value =
        storage::GetFromTable(directory_.catalog_path() + "/" + name, format::kStateKey);
    if (value) {
      const auto state = format::DecodeStoreState(*value);
      if (state.ok() && state->sequence > sequence_) {
        damages_.Add(
            DamageOf(Status::DataLoss("a table that the catalog does not list has seen commit " +
                                      std::to_string(state->sequence) + ", the catalog only " +
                                      std::to_string(sequence_)),
                     Name(name)));
        return;
      }
    }
    notes_.push_back(Name(name) + " is not listed: the next writing open removes it");
  }

  const storage::Catalog& catalog_;
  const storage::Directory& directory_;
  const std::uint64_t sequence_;
  Throttle& throttle_;
  DamageList& damages_;
  std::vector<std::string>& notes_;
};

}  // namespace

Status CheckCatalogFiles(const storage::Catalog& catalog, std::uint64_t sequence,
                         Throttle& throttle, DamageList& damages, std::vector<std::string>& notes) {
  return CatalogFilesCheck(catalog, sequence, throttle, damages, notes).Run();
}

Status CheckCatalogLogs(const storage::Catalog& catalog, Throttle& throttle, DamageList& damages) {
  std::vector<std::string> notes;  // an end that was cut short loses nothing that was promised
  return CatalogFilesCheck(catalog, 0, throttle, damages, notes).RunLogs();
}

void NoteUnlisted(const storage::Directory& directory, const StoreFacts& facts, DamageList& damages,
                  std::vector<std::string>& notes) {
  std::set<std::string> listed;
  for (const CollectionFacts& collection : facts.collections) {
    for (const format::SlabRecord& slab : collection.slabs) {
      listed.insert(FileOf(directory, slab.number, format::PlaneKind::kBase));
      if (slab.has_sketch) {
        listed.insert(FileOf(directory, slab.number, format::PlaneKind::kSketch));
      }
      if (slab.pca == format::PcaState::kPresent) {
        listed.insert(FileOf(directory, slab.number, format::PlaneKind::kPca));
      }
    }
  }
  const auto slabs = directory.SlabNames();
  if (!slabs.ok()) damages.Add(DamageOf(slabs.status(), "slabs"));
  for (const std::string& name : slabs.ok() ? *slabs : std::vector<std::string>()) {
    if (listed.count("slabs/" + name) == 0) {
      notes.push_back("slabs/" + name + " is not listed by any collection");
    }
  }
  // PUBLISHED is of a published checkpoint, CHECKSUMS of an unpacked stream.
  constexpr std::array<std::string_view, 8> kOurs = {
      "LOCK", "FORMAT", "WITNESS", "catalog", "slabs", "published", "PUBLISHED", "CHECKSUMS"};
  const auto names = directory.vfs().List(directory.path());
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    if (std::find(kOurs.begin(), kOurs.end(), name) == kOurs.end()) {
      notes.push_back(name + " is not part of a store");
    }
  }
}

}  // namespace quarry::engine
