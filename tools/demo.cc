// quarry_demo: a small real job, from text to answers.
//
// Reads this project's own documentation and code, stores every passage as a
// vector with metadata, closes the store, opens it again and answers three
// questions. Uses the public interface only; the vectors come from feature
// hashing (demo_vectorizer.h), so that nothing needs to be downloaded.

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "quarry/quarry.h"
#include "tools/demo_passages.h"
#include "tools/demo_vectorizer.h"

namespace quarry::demo {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBatch = 500;  // records per write
constexpr std::size_t kHits = 3;     // per question
constexpr std::size_t kExcerptLines = 4;
constexpr std::size_t kExcerptColumns = 96;
constexpr const char* kCollection = "passages";

constexpr std::array<std::string_view, 3> kQuestions = {
    "Which writes survive a power loss, and when is data synced to disk?",
    "What happens when stored bytes do not match their checksum?",
    "How do I build the project and run its tests?",
};

class Stopwatch {
 public:
  double Milliseconds() const {
    return std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

void PrintStep(std::string_view what, const Stopwatch& watch, const std::string& result) {
  fmt::print("  {:<10} {:>8.1f} ms  {}\n", what, watch.Milliseconds(), result);
}

// Where the store goes: a directory named by the user, or a temporary one that
// goes away with this object.
class StoreDirectory {
 public:
  // Errors: kAlreadyExists, kIoError.
  static Result<std::unique_ptr<StoreDirectory>> Make(const std::string& wanted) {
    std::error_code error;
    if (!wanted.empty()) {
      if (fs::exists(wanted, error)) {
        return Status::AlreadyExists(wanted + ": the demo needs a directory that does not exist");
      }
      return std::make_unique<StoreDirectory>(wanted, /*temporary=*/false);
    }
    const fs::path base = fs::temp_directory_path(error);
    if (error) return Status::IoError("no directory for temporary files: " + error.message());
    std::string name = (base / "quarry-demo-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return Status::IoError("cannot create " + name);
    return std::make_unique<StoreDirectory>(name, /*temporary=*/true);
  }

  StoreDirectory(fs::path path, bool temporary) : path_(std::move(path)), temporary_(temporary) {}
  ~StoreDirectory() {
    std::error_code error;
    if (temporary_ && fs::remove_all(path_, error) == static_cast<std::uintmax_t>(-1)) {
      fmt::print(stderr, "demo: cannot remove {}: {}\n", path_.string(), error.message());
    }
  }
  StoreDirectory(const StoreDirectory&) = delete;
  StoreDirectory& operator=(const StoreDirectory&) = delete;

  std::string store() const { return (temporary_ ? path_ / "store" : path_).string(); }
  bool temporary() const { return temporary_; }

 private:
  const fs::path path_;
  const bool temporary_;
};

std::string MetadataOf(const Passage& passage) {
  const nlohmann::json metadata = {{"file", passage.file},
                                   {"line", passage.line},
                                   {"kind", passage.kind},
                                   {"text", passage.text}};
  return metadata.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Writes passages [first, last) with ids that the store assigns.
Status WriteBatch(const std::vector<Passage>& passages, std::size_t first, std::size_t last,
                  const std::vector<float>& vectors, Collection* collection) {
  std::vector<std::string> metadata;
  for (std::size_t i = first; i < last; ++i) metadata.push_back(MetadataOf(passages[i]));
  const std::vector<std::string_view> views(metadata.begin(), metadata.end());
  const std::size_t rows = last - first;
  return collection
      ->Upsert({.ids = {},
                .vectors = {vectors.data() + first * HashingVectorizer::kDim, rows,
                            HashingVectorizer::kDim},
                .metadata = views})
      .status();
}

// Makes the store and writes everything. The store is closed again at the end.
//   vectors   [passages.size(), kDim]
Status Import(const std::string& directory, const std::vector<Passage>& passages,
              const std::vector<float>& vectors) {
  Result<std::unique_ptr<Store>> store = Store::Open(directory, {.create_if_missing = true});
  if (!store.ok()) return store.status();
  const CollectionSchema schema = {
      .dim = HashingVectorizer::kDim,
      .level = Level::kF16,
      .metric = Metric::kCosine,
      .fields = {{"file", FieldType::kString},
                 {"line", FieldType::kInt},
                 {"kind", FieldType::kString}},
  };
  Result<Collection> collection = (*store)->CreateCollection(kCollection, schema);
  if (!collection.ok()) return collection.status();
  for (std::size_t first = 0; first < passages.size(); first += kBatch) {
    const std::size_t last = std::min(first + kBatch, passages.size());
    const Status status = WriteBatch(passages, first, last, vectors, &*collection);
    if (!status.ok()) return status;
  }
  return (*store)->Close();
}

// The first lines of a passage, each cut to a width that terminals have.
void PrintExcerpt(std::string_view text) {
  for (std::size_t line = 0; line < kExcerptLines && !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::size_t width = std::min(end, kExcerptColumns);
    // Not within a character of several bytes (UTF-8).
    while (width < end && width > 0 && (text[width] & '\xc0') == '\x80') --width;
    fmt::print("         | {}{}\n", text.substr(0, width), width < end ? ".." : "");
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

Status PrintHit(const Hit& hit) {
  const nlohmann::json metadata =
      nlohmann::json::parse(hit.metadata.value_or(""), nullptr, /*allow_exceptions=*/false);
  if (!metadata.is_object()) {
    return Status::Corruption("record " + hit.id.ToString() + " came back without its metadata");
  }
  fmt::print("  {:.3f}  {}:{}  ({})\n", hit.score, metadata.value("file", ""),
             metadata.value("line", std::uint64_t{0}), metadata.value("kind", ""));
  PrintExcerpt(metadata.value("text", ""));
  return Status::Ok();
}

Status Ask(const Collection& collection, const HashingVectorizer& vectorizer,
           std::string_view question) {
  const std::vector<float> query = vectorizer.Vectorize(question);
  const Stopwatch watch;
  const auto hits = collection.Search(query, {.k = kHits, .with = {.metadata = true}});
  if (!hits.ok()) return hits.status();
  fmt::print("\n\"{}\"   ({:.2f} ms)\n", question, watch.Milliseconds());
  for (const Hit& hit : hits->front()) {
    const Status status = PrintHit(hit);
    if (!status.ok()) return status;
  }
  return Status::Ok();
}

Status ReopenAndAsk(const std::string& directory, const HashingVectorizer& vectorizer) {
  const Stopwatch open_watch;
  const Result<std::unique_ptr<Store>> store = Store::Open(directory);
  if (!store.ok()) return store.status();
  const Result<Collection> collection = (*store)->GetCollection(kCollection);
  if (!collection.ok()) return collection.status();
  const Result<std::uint64_t> count = collection->Count();
  if (!count.ok()) return count.status();
  const Result<std::string_view> instruction_set = InstructionSet();
  if (!instruction_set.ok()) return instruction_set.status();
  PrintStep(
      "reopen", open_watch,
      fmt::format("{} records, {} dimensions, {}, scored with {}", *count, collection->schema().dim,
                  ToString(collection->schema().level), *instruction_set));
  for (const std::string_view question : kQuestions) {
    const Status status = Ask(*collection, vectorizer, question);
    if (!status.ok()) return status;
  }
  return (*store)->Close();
}

Status Run(const std::string& source, const std::string& wanted_directory) {
  const Result<std::unique_ptr<StoreDirectory>> directory = StoreDirectory::Make(wanted_directory);
  if (!directory.ok()) return directory.status();

  fmt::print("Searching this project's own text.\n\n");
  const Stopwatch read_watch;
  const Result<Corpus> corpus = ReadCorpus(source);
  if (!corpus.ok()) return corpus.status();
  PrintStep("read", read_watch,
            fmt::format("{} files, {} lines: {} passages", corpus->files, corpus->lines,
                        corpus->passages.size()));

  const Stopwatch vectorize_watch;
  std::vector<std::string> texts;
  for (const Passage& passage : corpus->passages) texts.push_back(passage.text);
  const HashingVectorizer vectorizer(texts);
  std::vector<float> vectors;
  vectors.reserve(texts.size() * HashingVectorizer::kDim);
  for (const std::string& text : texts) {
    const std::vector<float> vector = vectorizer.Vectorize(text);
    vectors.insert(vectors.end(), vector.begin(), vector.end());
  }
  PrintStep("vectorize", vectorize_watch,
            fmt::format("{} features hashed to {} dimensions (words and runs of characters)",
                        vectorizer.features(), HashingVectorizer::kDim));

  const Stopwatch import_watch;
  const std::string store = (*directory)->store();
  const Status imported = Import(store, corpus->passages, vectors);
  if (!imported.ok()) return imported;
  PrintStep("import", import_watch,
            fmt::format("{} records in {}, then closed", corpus->passages.size(), store));

  const Status answered = ReopenAndAsk(store, vectorizer);
  if (!answered.ok()) return answered;
  if (!(*directory)->temporary()) fmt::print("\nThe store stays in {}.\n", store);
  return Status::Ok();
}

}  // namespace
}  // namespace quarry::demo

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4 || std::string_view(argv[1]) != "--source") {
    fmt::print(stderr, "usage: quarry_demo --source DIRECTORY [STORE]\n");
    return 2;
  }
  try {  // fmt and nlohmann-json report by exception.
    const quarry::Status status = quarry::demo::Run(argv[2], argc == 4 ? argv[3] : "");
    if (status.ok()) return 0;
    fmt::print(stderr, "demo: {}\n", status.ToString());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "demo: %s\n", e.what());
  }
  return 1;
}
