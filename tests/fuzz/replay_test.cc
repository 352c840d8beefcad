// What fuzzing found stays found: every file of the corpora is given to its target.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "tests/fuzz/targets.h"

namespace quarry::fuzz {
namespace {

namespace fs = std::filesystem;

class ReplayTest : public testing::TestWithParam<Target> {
 protected:
  fs::path Corpus() const {
    return fs::path(QUARRY_SOURCE_DIR) / "tests/fuzz/corpus" / GetParam().name;
  }
};

TEST_P(ReplayTest, KeepsItsPromisesForEveryFile) {
  int files = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(Corpus())) {
    // A broken promise ends the process; the last line says where.
    std::cout << entry.path().string() << std::endl;
    std::ifstream file(entry.path(), std::ios::binary);
    ASSERT_TRUE(file.is_open());
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    GetParam().run(bytes);
    ++files;
  }
  EXPECT_GT(files, 0);
}

TEST_P(ReplayTest, KeepsItsPromisesForFilesThatAreCutShort) {
  for (const fs::directory_entry& entry : fs::directory_iterator(Corpus())) {
    std::cout << entry.path().string() << std::endl;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    GetParam().run(std::string_view(bytes).substr(0, bytes.size() / 2));
    if (!bytes.empty()) GetParam().run(std::string_view(bytes).substr(0, bytes.size() - 1));
  }
  GetParam().run("");
}

INSTANTIATE_TEST_SUITE_P(Fuzz, ReplayTest, testing::ValuesIn(Targets().begin(), Targets().end()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace quarry::fuzz
