#include <algorithm>
#include <utility>

#include "format/status_macros.h"
#include "storage/catalog_rocks.h"

namespace quarry::storage {

CatalogBatch::CatalogBatch(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
CatalogBatch::~CatalogBatch() = default;
CatalogBatch::CatalogBatch(CatalogBatch&&) noexcept = default;
CatalogBatch& CatalogBatch::operator=(CatalogBatch&&) noexcept = default;

void CatalogBatch::Put(Family family, std::string_view key, std::string_view value) {
  rep_->Note(rep_->batch.Put(rep_->handles[IndexOf(family)], ToSlice(key), ToSlice(value)));
}
void CatalogBatch::Delete(Family family, std::string_view key) {
  rep_->Note(rep_->batch.Delete(rep_->handles[IndexOf(family)], ToSlice(key)));
}
void CatalogBatch::Note(std::string_view note) {
  rep_->Note(rep_->batch.PutLogData(ToSlice(note)));
}
std::size_t CatalogBatch::bytes() const { return rep_->batch.GetDataSize(); }

namespace {

// Calls `change` for each put and each deletion of a batch, in order.
class ChangeVisitor final : public rocksdb::WriteBatch::Handler {
 public:
  // No value: a deletion.
  using Change = std::function<void(Family, std::string_view, std::optional<std::string_view>)>;
  using Handles = std::array<rocksdb::ColumnFamilyHandle*, kFamilies>;
  ChangeVisitor(const Handles& handles, Change change)
      : handles_(handles), change_(std::move(change)) {}

  rocksdb::Status PutCF(std::uint32_t family, const rocksdb::Slice& key,
                        const rocksdb::Slice& value) override {
    change_(FamilyOf(family), ToView(key), ToView(value));
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(std::uint32_t family, const rocksdb::Slice& key) override {
    change_(FamilyOf(family), ToView(key), std::nullopt);
    return rocksdb::Status::OK();
  }

 private:
  Family FamilyOf(std::uint32_t id) const {
    const auto found = std::find_if(handles_.begin(), handles_.end(),
                                    [&](const auto* handle) { return handle->GetID() == id; });
    QUARRY_CHECK(found != handles_.end());
    return static_cast<Family>(found - handles_.begin());
  }

  const Handles& handles_;
  const Change change_;
};

}  // namespace

void CatalogGroup::Add(CatalogBatch&& batch) { batches_.push_back(std::move(batch)); }

std::size_t CatalogGroup::bytes() const {
  std::size_t bytes = 0;
  for (const CatalogBatch& batch : batches_) bytes += batch.bytes();
  return bytes;
}

void CatalogGroup::IndexAdded() {
  for (; indexed_ < batches_.size(); ++indexed_) {
    const CatalogBatch::Rep& rep = *batches_[indexed_].rep_;
    ChangeVisitor visitor(rep.handles, [&](Family family, std::string_view key,
                                           std::optional<std::string_view> value) {
      changes_[IndexOf(family)][std::string(key)] = value;
    });
    QUARRY_CHECK(rep.batch.Iterate(&visitor).ok());
  }
}

Result<std::optional<std::string>> CatalogGroup::Get(Family family, std::string_view key) {
  IndexAdded();
  const Changes& changes = changes_[IndexOf(family)];
  const auto found = changes.empty() ? changes.end() : changes.find(std::string(key));
  if (found != changes.end()) return found->second;
  return view_->Get(family, key);
}

Result<std::vector<std::optional<std::string>>> CatalogGroup::MultiGet(
    Family family, std::span<const std::string> keys) {
  IndexAdded();
  QUARRY_ASSIGN(auto values, view_->MultiGet(family, keys));
  const Changes& changes = changes_[IndexOf(family)];
  if (changes.empty()) return values;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto found = changes.find(keys[i]);
    if (found != changes.end()) values[i] = found->second;
  }
  return values;
}

CatalogBatch CatalogGroup::Take() {
  CatalogBatch all = std::move(batches_.front());
  for (std::size_t i = 1; i < batches_.size(); ++i) {
    const CatalogBatch::Rep& rep = *batches_[i].rep_;
    all.rep_->Note(rep.first_error);
    ChangeVisitor visitor(rep.handles, [&](Family family, std::string_view key,
                                           std::optional<std::string_view> value) {
      value ? all.Put(family, key, *value) : all.Delete(family, key);
    });
    QUARRY_CHECK(rep.batch.Iterate(&visitor).ok());
  }
  return all;
}

}  // namespace quarry::storage
