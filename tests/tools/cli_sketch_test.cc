// sketch: what is made and dropped, what is printed, what is refused; info and import
// say and do the same.

#include <cmath>
#include <cstdint>
#include <random>

#include "tests/tools/cli_support.h"

namespace quarry::testing_support {
namespace {

constexpr std::uint32_t kDim = 64;
constexpr std::size_t kRows = 4200;  // enough for a pca sketch

class CliSketchTest : public CliTest {
 protected:
  // Rows near a line, as a file.
  std::string WriteVectors(std::size_t rows = kRows) const {
    std::mt19937 rng(1);
    std::normal_distribution<float> normal;
    std::string bytes;
    const auto add = [&](const auto& value) {
      bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    };
    for (std::size_t r = 0; r < rows; ++r) {
      add(kDim);
      const float along = normal(rng);
      for (std::uint32_t i = 0; i < kDim; ++i) {
        const float size = std::exp2(-static_cast<float>(i) / 8);
        add(1 + along * std::cos(static_cast<float>(i)) + size * normal(rng));
      }
    }
    return Write("v.fvecs", bytes);
  }

  void Import(const std::string& sketch, std::size_t rows = kRows) const {
    Do({"create", store_, "c", "--dim", std::to_string(kDim), "--sketch", sketch});
    Do({"import", store_, "c", WriteVectors(rows)});
  }
  Json Sketch(const std::vector<std::string>& arguments) const {
    std::vector<std::string> all = {"sketch", store_, "c", "--json"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return Json::parse(Do(all));
  }
  Json Planes() const {
    const Json info = Json::parse(Do({"info", store_, "c", "--json"}));
    return info["slabs"][0]["planes"];
  }
  std::string Answers() const {
    return Do({"search", store_, "c", "--like", "17", "-k", "20", "--json"});
  }
};

TEST_F(CliSketchTest, SketchMakesAndDropsAndSaysWhatThereIs) {
  Import("none");
  const std::string answers = Answers();
  EXPECT_EQ(Planes(), Json::array({"base"}));
  EXPECT_EQ(Sketch({"--add", "i8"}),
            Json::parse(R"({"collection":"c","sketch":"i8","slabs":1,"i8":1,"pca":0})"));
  EXPECT_EQ(Planes(), Json::array({"base", "i8"}));
  EXPECT_EQ(Sketch({"--add", "pca"}),
            Json::parse(R"({"collection":"c","sketch":"pca","slabs":1,"i8":1,"pca":1})"));
  EXPECT_EQ(Planes(), Json::array({"base", "i8", "pca"}));
  EXPECT_EQ(Answers(), answers);
  EXPECT_EQ(Sketch({"--drop", "pca"}),
            Json::parse(R"({"collection":"c","sketch":"i8","slabs":1,"i8":1,"pca":0})"));
  EXPECT_EQ(Planes(), Json::array({"base", "i8"}));
  EXPECT_EQ(Answers(), answers);
  Sketch({"--add", "pca"});
  EXPECT_EQ(Sketch({"--drop", "i8"}),
            Json::parse(R"({"collection":"c","sketch":"none","slabs":1,"i8":0,"pca":0})"));
  EXPECT_EQ(Planes(), Json::array({"base"}));
  EXPECT_EQ(Answers(), answers);
  EXPECT_EQ(Sketch({"--add", "auto"})["i8"], 1);
  EXPECT_EQ(Sketch({"--add", "auto"})["sketch"], "auto");
  EXPECT_EQ(Answers(), answers);
}

TEST_F(CliSketchTest, SketchPrintsPlainText) {
  Import("none", 100);
  const std::string text = Do({"sketch", store_, "c", "--add", "i8"});
  EXPECT_THAT(text, testing::HasSubstr("i8"));
  EXPECT_THAT(text, testing::HasSubstr("c\t"));
  EXPECT_EQ(text.find('{'), std::string::npos);
}

TEST_F(CliSketchTest, DroppingWhatIsNotThereMakesNothing) {
  Import("none", 200);
  EXPECT_EQ(Sketch({"--drop", "pca"}),
            Json::parse(R"({"collection":"c","sketch":"none","slabs":1,"i8":0,"pca":0})"));
  EXPECT_EQ(Sketch({"--drop", "i8"})["sketch"], "none");
  EXPECT_EQ(Planes(), Json::array({"base"}));
}

// Policies auto that keep no sketches, of few dimensions or of bytes.
TEST_F(CliSketchTest, DroppingFromCollectionsThatKeepNoneMakesNothing) {
  Do({"create", store_, "c", "--dim", "2"});
  Do({"import", store_, "c",
      Write("small.jsonl", "{\"id\":1,\"vector\":[1,2]}\n{\"id\":2,\"vector\":[2,1]}\n")});
  EXPECT_EQ(Sketch({"--drop", "pca"}),
            Json::parse(R"({"collection":"c","sketch":"none","slabs":1,"i8":0,"pca":0})"));
  EXPECT_EQ(Planes(), Json::array({"base"}));
  Do({"import", store_, "d", WriteVectors(200), "--create", "--level", "i8"});
  const Json dropped = Json::parse(Do({"sketch", store_, "d", "--json", "--drop", "pca"}));
  EXPECT_EQ(dropped["sketch"], "none");
  EXPECT_EQ(dropped["i8"], 0);
}

TEST_F(CliSketchTest, SketchTwiceIsAsOnce) {
  Import("i8");
  const Json once = Sketch({"--add", "pca"});
  EXPECT_EQ(Sketch({"--add", "pca"}), once);
}

TEST_F(CliSketchTest, ImportMakesTheSketchesOfItsCollection) {
  Import("pca");
  EXPECT_EQ(Planes(), Json::array({"base", "i8", "pca"}));
  Do({"import", store_, "d", WriteVectors(), "--create", "--sketch", "pca"});
  const Json info = Json::parse(Do({"info", store_, "d", "--json"}));
  EXPECT_EQ(info["sketch"], "pca");
  EXPECT_EQ(info["slabs"][0]["planes"], Json::array({"base", "i8", "pca"}));
}

TEST_F(CliSketchTest, ExplainNamesTheSketchesThatWereRead) {
  Import("pca");
  const auto planes = [&] {
    std::string query = "[1";
    for (std::uint32_t i = 1; i < kDim; ++i) query += ",0";
    const std::string line =
        Do({"search", store_, "c", "--vector", query + "]", "-k", "3", "--explain", "--json"});
    return Json::parse(line)["explain"]["planes"];
  };
  EXPECT_EQ(planes(), Json::array({"pca sketch", "f32"}));
  Sketch({"--drop", "pca"});
  EXPECT_EQ(planes(), Json::array({"i8 sketch", "f32"}));
  Sketch({"--drop", "i8"});
  EXPECT_EQ(planes(), Json::array({"f32"}));
}

TEST_F(CliSketchTest, InfoNamesTheSketchesOfASlab) {
  Import("pca");
  EXPECT_THAT(Do({"info", store_, "c"}), testing::HasSubstr(", i8 sketch, pca sketch"));
  Sketch({"--drop", "i8"});
  EXPECT_THAT(Do({"info", store_, "c"}), testing::Not(testing::HasSubstr("i8 sketch")));
}

TEST_F(CliSketchTest, BothAndNeitherAreWrongUsage) {
  MakeStore();
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{}, std::vector<std::string>{"--add", "i8", "--drop", "i8"}}) {
    std::vector<std::string> all = {"sketch", store_, "c"};
    all.insert(all.end(), wrong.begin(), wrong.end());
    const Finished finished = Run(all);
    EXPECT_EQ(finished.exit, 2);
    EXPECT_THAT(finished.err, testing::HasSubstr("either --add or --drop"));
    EXPECT_EQ(finished.out, "");
  }
}

TEST_F(CliSketchTest, UnknownSketchesAreNamed) {
  MakeStore();
  const auto refused = [&](const std::string& option, const std::string& name,
                           const std::string& expected) {
    const Finished finished = Run({"sketch", store_, "c", option, name});
    EXPECT_EQ(finished.exit, 2) << option << " " << name;
    EXPECT_THAT(finished.err, testing::HasSubstr("'" + name + "'"));
    EXPECT_THAT(finished.err, testing::HasSubstr(expected));
    EXPECT_EQ(finished.out, "");
  };
  refused("--add", "pq", "pca");
  refused("--add", "none", "auto, i8 or pca");
  refused("--add", "PCA", "pca");
  refused("--drop", "auto", "i8 or pca");
  refused("--drop", "none", "i8 or pca");
  refused("--drop", "all", "i8 or pca");
}

TEST_F(CliSketchTest, MissingStoresAndCollectionsAreFailures) {
  Finished finished = Run({"sketch", store_, "c", "--add", "i8"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("store"));
  MakeStore();
  finished = Run({"sketch", store_, "nobody", "--add", "i8"});
  EXPECT_EQ(finished.exit, 1);
  EXPECT_THAT(finished.err, IsOneErrorWith("nobody"));
  EXPECT_EQ(finished.out, "");
}

TEST_F(CliSketchTest, CollectionsWithoutVectorsHaveNothingToSketch) {
  Do({"create", store_, "c", "--dim", "64"});
  EXPECT_EQ(Sketch({"--add", "pca"}),
            Json::parse(R"({"collection":"c","sketch":"pca","slabs":0,"i8":0,"pca":0})"));
}

}  // namespace
}  // namespace quarry::testing_support
