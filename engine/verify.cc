#include "engine/verify.h"

#include <algorithm>
#include <set>
#include <utility>

#include "engine/catalog_check.h"
#include "engine/collection_check.h"
#include "format/status_macros.h"
#include "storage/vfs.h"
#include "storage/witness.h"

namespace quarry::engine {
namespace {

// Enough to read tables in order; all their indexes at once could take any amount.
constexpr int kOpenTables = 32;
constexpr std::size_t kCacheBytes = 8u << 20;

// What there is to read, about.
std::uint64_t BytesOf(const storage::CatalogView& view, const StoreFacts& facts, bool quick) {
  const auto catalog = view.catalog().DiskBytes();
  std::uint64_t bytes = catalog.ok() ? 2 * *catalog : 0;  // as files, and as entries
  for (const CollectionFacts& collection : facts.collections) {
    const std::uint64_t row_bytes =
        format::PlaneLayout::For(collection.schema.level, collection.schema.dim, 1).bytes_per_row();
    for (const format::SlabRecord& slab : collection.slabs) {
      bytes += slab.rows * (quick ? sizeof(std::uint64_t) : row_bytes);
      if (slab.has_sketch && !quick) bytes += slab.rows * collection.schema.dim;
    }
  }
  return bytes;
}

// A view of a store that is checked, and what is found.
class StoreCheck {
 public:
  StoreCheck(const storage::Directory& directory,
             const std::shared_ptr<const storage::CatalogView>& view, const kernels::Table& kernels,
             const VerifyOptions& options, std::vector<Damage> problems)
      : directory_(directory),
        view_(view),
        kernels_(kernels),
        options_(options),
        throttle_("the check", options.bytes_per_second, [this] { return GoOn(); }),
        damages_(options.max_damages, options.max_ids) {
    for (Damage& problem : problems) damages_.Add(std::move(problem));
  }

  Result<VerifyReport> Run() {
    if (view_ != nullptr) QUARRY_TRY(CheckAll());
    report_.bytes = throttle_.bytes();
    report_.damages = std::move(damages_.damages());
    report_.more_damages = damages_.more();
    if (options_.progress) options_.progress(total_, total_);
    return std::move(report_);
  }

 private:
  bool GoOn() {
    total_ = std::max(total_, throttle_.bytes());
    if (options_.progress) options_.progress(throttle_.bytes(), total_);
    return !options_.go_on || options_.go_on();
  }

  Status CheckAll() {
    bool all_known = true;  // of the collections
    QUARRY_ASSIGN(const StoreFacts facts,
                  ReadFacts(*view_, [&](const std::string& collection, const Status& fault) {
                    all_known = false;
                    damages_.Add(DamageOf(fault, "catalog", collection));
                  }));
    total_ = BytesOf(*view_, facts, options_.quick);
    if (!options_.quick) {
      QUARRY_TRY(CheckCatalogFiles(view_->catalog(), facts.state.sequence, throttle_, damages_,
                                   report_.notes));
    }
    if (directory_.read_only()) NoteUnlisted(directory_, facts, damages_, report_.notes);
    const Status witness = storage::Witness::Check(directory_, facts.state.sequence);
    if (witness.code() == StatusCode::kNotFound) {
      report_.notes.push_back("WITNESS " + witness.message());
    } else if (!witness.ok()) {
      damages_.Add(DamageOf(witness, "WITNESS"));
    }
    const CheckContext context{directory_,     view_.get(), facts,   kernels_,
                               options_.quick, throttle_,   damages_};
    if (all_known) QUARRY_TRY(CheckStrayKeys(context));
    CheckCounts counts;
    std::set<std::uint64_t> slabs;
    for (const CollectionFacts& collection : facts.collections) {
      for (const format::SlabRecord& slab : collection.slabs) {
        if (slabs.insert(slab.number).second) continue;
        damages_.Add(
            DamageOf(Status::Corruption("slab " + std::to_string(slab.number) + " is listed twice"),
                     "catalog", collection.name));
      }
      QUARRY_TRY(CheckCollection(context, collection, counts));
    }
    report_.collections = facts.collections.size();
    report_.records = counts.records;
    report_.vectors = counts.vectors;
    return Status::Ok();
  }

  const storage::Directory& directory_;
  const std::shared_ptr<const storage::CatalogView> view_;
  const kernels::Table& kernels_;
  const VerifyOptions& options_;
  Throttle throttle_;
  DamageList damages_;
  VerifyReport report_;
  std::uint64_t total_ = 0;
};

}  // namespace

Result<DamagedStore> OpenDamaged(const std::string& path) {
  DamagedStore store;
  std::vector<Status> problems;
  QUARRY_ASSIGN(store.directory,
                storage::Directory::OpenDamaged(storage::Vfs::Posix(), path, problems));
  for (const Status& problem : problems) {
    const std::string& message = problem.message();
    store.problems.push_back(DamageOf(problem, message.substr(0, message.find(':'))));
  }
  storage::CatalogOptions options;
  options.cache_bytes = kCacheBytes;
  options.max_open_files = kOpenTables;
  options.read_only = true;
  auto opened = storage::Catalog::Open(store.directory, options);
  if (!opened.ok()) {
    store.problems.push_back(DamageOf(opened.status(), "catalog"));
    options.salvage = true;
    opened = storage::Catalog::Open(store.directory, options);
  }
  if (opened.ok()) store.catalog = *std::move(opened);
  return store;
}

Result<VerifyReport> VerifyState(const storage::Directory& directory,
                                 const std::shared_ptr<const storage::CatalogView>& view,
                                 const kernels::Table& kernels, const VerifyOptions& options,
                                 std::vector<Damage> problems) {
  return StoreCheck(directory, view, kernels, options, std::move(problems)).Run();
}

}  // namespace quarry::engine

namespace quarry {

Result<VerifyReport> VerifyStore(const std::string& path, const VerifyOptions& options) {
  QUARRY_ASSIGN(const kernels::Table* const kernels, kernels::Active());
  auto store = engine::OpenDamaged(path);
  if (!store.ok()) return store.status();
  if (store->catalog == nullptr) {
    store->problems.back().text += "; no collection can be looked at";
  }
  const auto view = store->catalog == nullptr ? nullptr : store->catalog->View();
  auto report =
      engine::VerifyState(*store->directory, view, *kernels, options, std::move(store->problems));
  return report.ok() ? std::move(report) : report.status().WithContext("store " + path);
}

}  // namespace quarry
