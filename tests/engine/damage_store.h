// A small store with every kind of file, and ways to damage a copy of it.

#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "format/checksum.h"
#include "format/plane.h"
#include "quarry/verify.h"
#include "tests/engine/pca_vectors.h"
#include "tests/engine/test_store.h"
#include "tests/file_bytes.h"

namespace quarry::testing_support {

// All that a reader can see of a store.
struct Answers {
  std::map<std::string, std::map<Id, Reference::Entry>> records;
  std::vector<std::vector<Id>> ids;  // of searches
  std::vector<std::vector<double>> scores;

  friend bool operator==(const Answers&, const Answers&) = default;
};

// Which bytes of a file nothing depends on.
using Unused = std::vector<bool>;

class DamageStore {
 public:
  static constexpr std::size_t kDim = 64;
  static constexpr std::size_t kPcaRows = 4200;
  static constexpr std::size_t kWideDim = 512;
  static constexpr std::int64_t kFarAway = std::int64_t{1} << 50;

  // Collection "wide": string ids, f32, fields, two slabs, dead rows, records without
  // vectors, some with an expiry far away. Collection "pca": u64 ids, f8, an i8 and a pca sketch.
  // The last commits are in the log of the catalog, the others in its tables.
  DamageStore() {
    Fill();
    sound_ = Value(Read(path()));
    files_ = ReadFiles();
  }

  std::string path() const { return directory_ / "store"; }
  // A path beside the store that nothing has.
  std::string Other(const std::string& name) {
    std::filesystem::remove_all(directory_ / name);
    return directory_ / name;
  }
  const Answers& sound() const { return sound_; }
  // Those of the states before the commits that are in the log.
  const std::vector<Answers>& earlier() const { return earlier_; }
  // Contents by name below the store; those that are empty left out.
  const std::map<std::string, std::string>& files() const { return files_; }
  std::vector<SlabInfo> Slabs(const std::string& collection) const { return slabs_.at(collection); }

  static OpenOptions Options() {
    OpenOptions options;
    options.background = false;
    options.slab_bytes = 1u << 20;
    return options;
  }

  // Everything of the store at `path`, opened for reading.
  static Result<Answers> Read(const std::string& path) {
    OpenOptions options = Options();
    options.read_only = true;
    auto store = Store::Open(path, options);
    if (!store.ok()) return store.status();
    return ReadOpen(**store);
  }

  static Result<Answers> ReadOpen(Store& store) {
    Answers answers;
    const auto names = store.ListCollections();
    if (!names.ok()) return names.status();
    for (const std::string& name : *names) {
      const auto collection = store.GetCollection(name);
      if (!collection.ok()) return collection.status();
      const auto page =
          collection->Scroll({.limit = 1u << 20, .with = {.metadata = true, .vector = true}});
      if (!page.ok()) return page.status();
      for (const Record& r : *page) answers.records[name][r.id] = {r.vector, r.metadata};
      std::mt19937 rng(7);
      const auto queries = Flat(RandomVectors(rng, 2, collection->schema().dim));
      for (const Metric metric : {Metric::kCosine, Metric::kL2}) {
        const auto hits = collection->Search(
            VectorView(queries.data(), 2, collection->schema().dim), {.k = 20, .metric = metric});
        if (!hits.ok()) return hits.status();
        for (const auto& of_query : *hits) {
          answers.ids.push_back(IdsOf(of_query));
          auto& scores = answers.scores.emplace_back();
          for (const Hit& hit : of_query) scores.push_back(hit.score);
        }
      }
    }
    return answers;
  }

  // Writes a file of the store as it was.
  void Restore(const std::string& name) { Put(name, files_.at(name)); }

  // In place, so that it costs little.
  void Put(const std::string& name, std::string_view contents) {
    const auto file = std::filesystem::path(path()) / name;
    if (!std::filesystem::exists(file)) std::ofstream{file};
    std::filesystem::resize_file(file, contents.size());
    std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
    out.write(contents.data(), static_cast<std::streamsize>(contents.size()));
  }

  void Flip(const std::string& name, std::size_t offset, unsigned bit) {
    std::fstream file(path() + "/" + name, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(offset));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(byte ^ static_cast<int>(1u << bit)));
  }

  // The header of a plane.
  format::PlaneHeader HeaderOf(const std::string& name) const {
    const std::string& bytes = files_.at(name);
    return Value(format::DecodePlaneHeader(std::as_bytes(std::span(bytes)), bytes.size()));
  }

  // Bytes of a file that may be anything: what lies behind committed rows or fills a
  // page, block records that the committed state does not rest on, and what RocksDB
  // keeps for people to read.
  Unused UnusedOf(const std::string& name) const {
    const std::string& bytes = files_.at(name);
    if (name == "catalog/IDENTITY" || name.starts_with("catalog/OPTIONS-")) {
      return Unused(bytes.size(), true);
    }
    Unused unused(bytes.size(), true);
    const auto use = [&](std::uint64_t offset, std::uint64_t n) {
      for (std::uint64_t i = offset; i < offset + n; ++i) unused[i] = false;
    };
    if (name == "WITNESS") {
      use(0, 40);
      use(4096, 40);
      return unused;
    }
    if (!name.starts_with("slabs/")) return Unused(bytes.size(), false);
    const format::PlaneHeader header = HeaderOf(name);
    const format::PlaneLayout layout = header.layout();
    const std::uint32_t rows = rows_.at(header.slab);
    use(0, format::kPlaneHeaderBytes);
    if (header.kind != format::PlaneKind::kBase) {
      const std::uint64_t tile_bytes = layout.row_bytes * format::kTileRows;
      const std::uint64_t tiles = std::min(rows, header.capacity_rows) / format::kTileRows;
      use(layout.blocks_offset, tiles * 8);
      use(layout.codes_offset, tiles * tile_bytes);
      if (header.kind == format::PlaneKind::kPca) {
        use(layout.model_offset, header.pca_shape().model_bytes());
      }
      return unused;
    }
    use(layout.rows_offset, rows * 8);
    if (layout.scales_offset != 0) use(layout.scales_offset, rows * 4);
    use(layout.norms_offset, rows * 8);
    use(layout.codes_offset, rows * layout.row_bytes);
    for (std::uint64_t block = 0; block * layout.block_rows < rows; ++block) {
      const std::uint64_t want =
          std::min<std::uint64_t>(layout.block_rows, rows - block * layout.block_rows);
      for (std::uint64_t slot = 0; slot < 2; ++slot) {
        const std::uint64_t at =
            layout.blocks_offset + (block * 2 + slot) * format::kBlockRecordBytes;
        const auto record = format::DecodeBlockRecord(
            std::as_bytes(std::span(bytes)).subspan(at, format::kBlockRecordBytes), header.slab,
            block);
        if (record && record->rows == want) use(at, format::kBlockRecordBytes);
      }
    }
    return unused;
  }

 private:
  void Fill() {
    OpenOptions options = Options();
    options.create_if_missing = true;
    std::mt19937 rng(3);
    {
      const auto store = Value(Store::Open(path(), options));
      auto wide = Value(store->CreateCollection(
          "wide", {.dim = kWideDim,
                   .id_type = IdType::kString,
                   .sketch = SketchPolicy::kI8,
                   .fields = {{"n", FieldType::kInt}, {"s", FieldType::kString}}}));
      WriteWide(wide, 0, 600, rng);
      EXPECT_OK(wide.Delete(std::vector<Id>{"w3", "w70", "w71"}));
      WriteWide(wide, 10, 3, rng);  // replaced
      const std::vector<std::int64_t> expiries = {kFarAway, kFarAway + 1, kFarAway};
      EXPECT_OK(wide.SetExpiry(std::vector<Id>{"w20", "w21", "w22"}, expiries));
      auto pca = Value(store->CreateCollection(
          "pca", {.dim = kDim, .level = Level::kF8, .sketch = SketchPolicy::kPca}));
      const TextLike text(kDim, rng);
      EXPECT_OK(Upsert(pca, Numbers(0, kPcaRows), text.Draw(kPcaRows, rng)));
      EXPECT_OK(pca.SetSketches(SketchPolicy::kPca));
      EXPECT_OK(store->Close());
    }
    const auto store = Value(Store::Open(path(), Options()));  // moves the log into tables
    auto wide = Value(store->GetCollection("wide"));
    earlier_.push_back(Value(ReadOpen(*store)));
    WriteWide(wide, 600, 5, rng);
    earlier_.push_back(Value(ReadOpen(*store)));
    const std::vector<Id> plain = {"plain"};
    const std::vector<std::string_view> metadata = {R"({"n":-1,"s":"no vector"})"};
    const std::vector<std::int64_t> expiry = {kFarAway};
    EXPECT_OK(wide.Upsert(
        {.ids = plain, .vectors = {}, .metadata = metadata, .expires_at_unix_ms = expiry}));
    earlier_.push_back(Value(ReadOpen(*store)));
    EXPECT_OK(wide.Delete(std::vector<Id>{"w5"}));
    for (const char* name : {"wide", "pca"}) {
      slabs_[name] = Value(Value(store->GetCollection(name)).Info()).slabs;
      for (const SlabInfo& slab : slabs_[name]) {
        rows_[slab.number] = static_cast<std::uint32_t>(slab.rows);
      }
    }
    EXPECT_OK(store->Close());
  }

  static void WriteWide(Collection& wide, int first, int n, std::mt19937& rng) {
    std::vector<Id> ids;
    std::vector<std::string> metadata;
    for (int i = first; i < first + n; ++i) {
      ids.emplace_back("w" + std::to_string(i));
      metadata.push_back("{\"n\":" + std::to_string(i) + ",\"s\":\"text " + std::to_string(i) +
                         "\"}");
    }
    const std::vector<std::string_view> views(metadata.begin(), metadata.end());
    EXPECT_OK(Upsert(wide, ids, RandomVectors(rng, static_cast<std::size_t>(n), kWideDim), views));
  }

  std::map<std::string, std::string> ReadFiles() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path())) {
      if (!entry.is_regular_file() || entry.file_size() == 0) continue;
      files[std::filesystem::relative(entry.path(), path()).string()] = FileBytes(entry.path());
    }
    return files;
  }

  TempDir directory_;
  Answers sound_;
  std::vector<Answers> earlier_;
  std::map<std::string, std::string> files_;
  std::map<std::string, std::vector<SlabInfo>> slabs_;
  std::map<std::uint64_t, std::uint32_t> rows_;  // committed, by slab
};

inline std::string Described(const Damage& damage) {
  std::string text = damage.file + " [" + damage.collection + "] " + damage.text;
  if (damage.rows) {
    text +=
        " rows " + std::to_string(damage.rows->first) + ".." + std::to_string(damage.rows->second);
  }
  return text + " ids " + std::to_string(damage.ids_total);
}

inline std::string Described(const VerifyReport& report) {
  std::string text;
  for (const Damage& damage : report.damages) text += Described(damage) + "\n";
  for (const std::string& note : report.notes) text += "note: " + note + "\n";
  return text;
}

}  // namespace quarry::testing_support
