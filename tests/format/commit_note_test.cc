#include "format/commit_note.h"

#include <gtest/gtest.h>

#include <string>

#include "format/checksum.h"
#include "tests/status_matchers.h"

namespace quarry::format {
namespace {

using testing_support::Fails;

CommitNote TwoExtents() {
  return {
      .sequence = 12,
      .durable_sequence = 9,
      .extents = {{.slab = 3, .durable_rows = 5, .first = 7, .rows = 2, .checksum = 99},
                  {.slab = 1ull << 40, .durable_rows = 0, .first = 0, .rows = 1, .checksum = 0}}};
}

TEST(CommitNoteTest, IsReadAsWritten) {
  const auto note = DecodeCommitNote(Encode(TwoExtents()));
  ASSERT_OK(note);
  EXPECT_EQ(*note, TwoExtents());
  EXPECT_FALSE(note->durable());
}

TEST(CommitNoteTest, WithoutExtentsSaysDurable) {
  const auto note = DecodeCommitNote(Encode(CommitNote{.sequence = 4, .durable_sequence = 2}));
  ASSERT_OK(note);
  EXPECT_TRUE(note->durable());
  EXPECT_EQ(note->sequence, 4u);
}

TEST(CommitNoteTest, AnyChangedByteIsCorruption) {
  const std::string sealed = Encode(TwoExtents());
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string damaged = sealed;
    damaged[i] ^= 1;
    EXPECT_THAT(DecodeCommitNote(damaged), Fails(StatusCode::kCorruption)) << i;
  }
}

TEST(CommitNoteTest, TruncationIsCorruption) {
  CommitNote note = TwoExtents();
  const std::string payload = Encode(note).substr(8);
  for (std::size_t bytes = 0; bytes < payload.size(); ++bytes) {
    const auto cut = DecodeCommitNote(Seal(std::string_view(payload).substr(0, bytes)));
    if (bytes == 16 || bytes == 48) continue;  // a whole note with fewer extents
    EXPECT_THAT(cut, Fails(StatusCode::kCorruption)) << bytes;
  }
}

TEST(CommitNoteTest, RowsThatCannotBeAreCorruption) {
  const auto with = [](CommitNote::Extent extent) {
    return DecodeCommitNote(Encode(CommitNote{.sequence = 1, .extents = {extent}}));
  };
  EXPECT_OK(with({.slab = 1, .durable_rows = 4, .first = 4, .rows = 1}));
  EXPECT_THAT(with({.slab = 1, .durable_rows = 4, .first = 4, .rows = 0}),
              Fails(StatusCode::kCorruption));
  EXPECT_THAT(with({.slab = 1, .durable_rows = 5, .first = 4, .rows = 1}),
              Fails(StatusCode::kCorruption));
  EXPECT_THAT(with({.slab = 1, .first = 2, .rows = ~std::uint32_t{0} - 1}),
              Fails(StatusCode::kCorruption));
}

}  // namespace
}  // namespace quarry::format
