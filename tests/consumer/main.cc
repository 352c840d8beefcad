// consumer DIRECTORY: makes a store, writes, searches and prints the hits.

#include <quarry/quarry.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string_view>
#include <vector>

namespace {

// Three colours as (red, green, blue); which of them is nearest to orange?
quarry::Status Run(const char* directory) {
  auto store = quarry::Store::Open(directory, {.create_if_missing = true});
  if (!store.ok()) return store.status();

  auto colours = (*store)->CreateCollection(
      "colours", {.dim = 3, .metric = quarry::Metric::kCosine, .id_type = quarry::IdType::kString});
  if (!colours.ok()) return colours.status();

  const std::array<quarry::Id, 3> ids = {"red", "green", "blue"};
  const std::array<float, 9> vectors = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  const std::array<std::string_view, 3> metadata = {R"({"hex":"#ff0000"})", R"({"hex":"#00ff00"})",
                                                    R"({"hex":"#0000ff"})"};
  const auto written =
      colours->Upsert({.ids = ids, .vectors = {vectors.data(), 3, 3}, .metadata = metadata});
  if (!written.ok()) return written.status();

  const std::vector<float> orange = {1.0f, 0.5f, 0.0f};
  const auto hits = colours->Search(orange, {.k = 2, .with = {.metadata = true}});
  if (!hits.ok()) return hits.status();
  for (const quarry::Hit& hit : (*hits)[0]) {
    std::printf("%s\t%.6f\t%s\n", hit.id.ToString().c_str(), hit.score,
                hit.metadata.value_or("").c_str());
  }
  return (*store)->Close();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: consumer DIRECTORY\n");
    return 2;
  }
  const quarry::Status status = Run(argv[1]);
  if (!status.ok()) {
    std::fprintf(stderr, "consumer: %s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}
