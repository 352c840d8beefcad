#include "tests/stress/history.h"

#include <algorithm>
#include <utility>

namespace quarry::testing_support {
namespace {

bool SameCounts(const WriteResult& a, const WriteResult& b) {
  return a.inserted == b.inserted && a.replaced == b.replaced && a.updated == b.updated &&
         a.deleted == b.deleted;
}

std::string Span(std::uint64_t first, std::uint64_t last) {
  return "commits " + std::to_string(first) + ".." + std::to_string(last);
}

const char* NameOf(Read::Kind kind) {
  switch (kind) {
    case Read::Kind::kSearch:
      return "search";
    case Read::Kind::kGet:
      return "get";
    case Read::Kind::kCount:
      return "count";
    case Read::Kind::kScroll:
      return "scroll";
  }
  return "";
}

bool SameHits(const std::vector<Hit>& got, const std::vector<Hit>& want, const Reference& state) {
  return std::equal(
      got.begin(), got.end(), want.begin(), want.end(), [&](const Hit& a, const Hit& b) {
        return a.id == b.id && a.score == b.score && a.metadata == state.records.at(b.id).metadata;
      });
}

Reference Chosen(const Reference& all, const std::vector<Id>& ids) {
  Reference chosen;
  for (const Id& id : ids) {
    const auto found = all.records.find(id);
    if (found != all.records.end()) chosen.records.insert(*found);
  }
  return chosen;
}

}  // namespace

std::size_t History::Add(Facts facts) {
  Line line;
  line.facts = std::move(facts);
  line.versions[0] = std::make_shared<const Reference>();
  lines_.push_back(std::move(line));
  return lines_.size() - 1;
}

void History::Drop(std::size_t collection, Between dropped) {
  lines_[collection].dropped = dropped;
}

const Reference& History::At(const Line& line, std::uint64_t sequence) const {
  return *std::prev(line.versions.upper_bound(sequence))->second;
}

const Reference& History::Newest(std::size_t collection) const {
  return *lines_[collection].versions.rbegin()->second;
}

void History::Forget(std::uint64_t sequence) {
  for (Line& line : lines_) {
    line.versions.erase(line.versions.begin(), std::prev(line.versions.upper_bound(sequence)));
  }
}

bool History::ApplyOne(const Change& change, Level level, Reference& reference,
                       WriteResult& counts) const {
  for (std::size_t i = 0; i < change.ids.size(); ++i) {
    const auto found = reference.records.find(change.ids[i]);
    const bool there = found != reference.records.end();
    if (change.kind == Change::Kind::kInsert && there) return false;
    if (change.kind == Change::Kind::kUpdateMetadata && !there) return false;
    if (change.kind == Change::Kind::kDelete) {
      if (there) reference.records.erase(found);
      counts.deleted += there;
      continue;
    }
    Reference::Entry& entry = reference.records[change.ids[i]];
    entry.metadata.reset();
    if (!change.metadata[i].empty()) entry.metadata = change.metadata[i];
    if (change.kind == Change::Kind::kUpdateMetadata) {
      ++counts.updated;
      continue;
    }
    ++(there ? counts.replaced : counts.inserted);
    entry.vector.reset();
    const std::size_t dim = change.flat.size() / change.ids.size();
    if (dim > 0) entry.vector = AsStored(level, {change.flat.data() + i * dim, dim});
  }
  return true;
}

std::optional<History::Draft> History::Make(const std::vector<Change>& changes,
                                            std::uint64_t sequence) const {
  Draft draft;
  for (const Change& change : changes) {
    const Line& line = lines_[change.collection];
    auto& state = draft.changed[change.collection];
    if (state == nullptr) state = std::make_shared<Reference>(At(line, sequence));
    if (!ApplyOne(change, line.facts.level, *state, draft.counts)) return std::nullopt;
  }
  return draft;
}

std::string History::Apply(const Written& written) {
  const std::uint64_t sequence = written.result.sequence;
  const std::string name = "commit " + std::to_string(sequence);
  if (sequence <= newest_) return name + " was given twice";
  newest_ = sequence;
  if (sequence <= written.first) return name + " is older than its call";
  if (sequence > written.last) return name + " was not visible after its call";
  for (const Change& change : written.changes) {
    const Line& line = lines_[change.collection];
    if (!line.MayBeThere(sequence)) return name + " writes to " + line.facts.name + ", not there";
  }
  std::optional<Draft> draft = Make(written.changes, sequence - 1);
  if (!draft) return name + " had to be refused";
  if (!SameCounts(draft->counts, written.result)) return name + " counts its records wrongly";
  for (auto& [collection, state] : draft->changed) {
    lines_[collection].versions[sequence] = std::move(state);
  }
  return "";
}

std::string History::CheckUnchanged(const Written& written) const {
  if (written.status.ok()) {
    const auto draft = Make(written.changes, written.result.sequence);
    if (draft && SameCounts(draft->counts, written.result)) return "";
    return "a write changed nothing at commit " + std::to_string(written.result.sequence) +
           ", where it had to";
  }
  const StatusCode code = written.status.code();
  if (code == StatusCode::kAlreadyExists || code == StatusCode::kNotFound) {
    for (std::uint64_t at = written.first; at <= written.last; ++at) {
      for (const Change& change : written.changes) {
        if (lines_[change.collection].MayBeAbsent(at)) return "";
      }
      if (!Make(written.changes, at)) return "";
    }
  }
  return "a write was refused at " + Span(written.first, written.last) + ": " +
         written.status.ToString();
}

bool History::Equals(const Read& read, const Line& line, std::uint64_t sequence) const {
  ++compared_;
  if (read.status.code() == StatusCode::kNotFound) return line.MayBeAbsent(sequence);
  if (!read.status.ok() || !line.MayBeThere(sequence)) return false;
  const Reference& state = At(line, sequence);
  switch (read.kind) {
    case Read::Kind::kCount:
      return read.count == state.records.size();
    case Read::Kind::kGet:
      return read.records == Chosen(state, *read.ids).records;
    case Read::Kind::kScroll:
      return read.records == state.records;
    case Read::Kind::kSearch:
      break;
  }
  if (read.ids) {
    const Reference chosen = Chosen(state, *read.ids);
    return SameHits(read.hits, chosen.Search(read.metric, read.query, read.k), state);
  }
  return SameHits(read.hits, state.Search(read.metric, read.query, read.k), state);
}

std::string History::Check(const Read& read) const {
  const Line& line = lines_[read.collection];
  for (std::uint64_t at = read.first; at <= read.last; ++at) {
    // Most commits change other collections: one look at each state will do.
    const bool same_as_before = at > read.first && !line.versions.contains(at) &&
                                line.MayBeThere(at) == line.MayBeThere(at - 1) &&
                                line.MayBeAbsent(at) == line.MayBeAbsent(at - 1);
    if (!same_as_before && Equals(read, line, at)) return "";
  }
  return std::string("a ") + NameOf(read.kind) + " of " + line.facts.name + " equals no state of " +
         Span(read.first, read.last) + ", status " + read.status.ToString();
}

}  // namespace quarry::testing_support
