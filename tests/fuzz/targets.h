// What is fuzzed: functions that take any bytes and abort where a promise breaks.
//
// libFuzzer calls them with inputs of its own (libfuzzer/entry.cc), the test
// replay_test.cc with those in corpus/<name>/.

#pragma once

#include <span>
#include <string_view>

namespace quarry::fuzz {

struct Target {
  std::string_view name;
  void (*run)(std::string_view bytes);
};

std::span<const Target> Targets();

// format_targets.cc
void PlaneHeader(std::string_view bytes);
void CatalogValues(std::string_view bytes);
void Metadata(std::string_view bytes);
void Keys(std::string_view bytes);
// manifest_target.cc
void CatalogManifest(std::string_view bytes);
// record_targets.cc
void Jsonl(std::string_view bytes);
void Csv(std::string_view bytes);
void Operations(std::string_view bytes);
// vector_targets.cc
void Npy(std::string_view bytes);
void Npz(std::string_view bytes);
void Vecs(std::string_view bytes);
void Ids(std::string_view bytes);
// argument_targets.cc
void Arguments(std::string_view bytes);
void Values(std::string_view bytes);

}  // namespace quarry::fuzz
