#include "engine/commit_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "tests/engine/test_store.h"

namespace quarry::engine {
namespace {

using Group = std::vector<CommitRequest*>;

// Joins and, when first in line, commits its group by `commit`.
void Commit(CommitQueue& queue, CommitRequest& request,
            const std::function<void(const Group&)>& commit) {
  if (!queue.Join(request)) return;
  const Group group = queue.Take();
  commit(group);
  for (CommitRequest* const one : group) {
    if (!one->result) one->result = WriteResult{};
  }
  queue.Finish();
}

// Holds up the line: `n` requests of 100 bytes join behind one that is under way, one
// after the other, and the groups that they are committed in are returned.
std::vector<std::vector<std::size_t>> GroupsOf(CommitQueue::Limits limits, std::size_t n) {
  CommitQueue queue(limits);
  CommitRequest first;
  EXPECT_TRUE(queue.Join(first));
  const Group alone = queue.Take();
  EXPECT_EQ(alone.size(), 1u);

  std::vector<std::unique_ptr<CommitRequest>> requests;
  std::vector<std::vector<std::size_t>> groups;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < n; ++i) {
    requests.push_back(std::make_unique<CommitRequest>());
    requests.back()->bytes = 100;
    threads.emplace_back([&, i] {
      Commit(queue, *requests[i], [&](const Group& group) {
        groups.emplace_back();
        for (const CommitRequest* const one : group) {
          for (std::size_t r = 0; r < n; ++r) {
            if (requests[r].get() == one) groups.back().push_back(r);
          }
        }
      });
    });
    while (queue.waiting() != i + 2) std::this_thread::yield();
  }
  first.result = WriteResult{};
  queue.Finish();
  for (std::thread& thread : threads) thread.join();
  return groups;
}

using Groups = std::vector<std::vector<std::size_t>>;

TEST(CommitQueueTest, ALoneWriterLeadsItsOwnGroup) {
  CommitQueue queue;
  CommitRequest request;
  ASSERT_TRUE(queue.Join(request));
  const Group group = queue.Take();
  EXPECT_EQ(group, Group{&request});
  request.result = WriteResult{.sequence = 7};
  queue.Finish();
  EXPECT_EQ(request.result->value().sequence, 7u);
}

TEST(CommitQueueTest, WhatWaitsIsOneGroupInOrder) {
  EXPECT_EQ(GroupsOf({}, 4), (Groups{{0, 1, 2, 3}}));
}

TEST(CommitQueueTest, AGroupHasNoMoreRequestsThanItsLimit) {
  EXPECT_EQ(GroupsOf({.requests = 2}, 5), (Groups{{0, 1}, {2, 3}, {4}}));
}

TEST(CommitQueueTest, AGroupHasNoMoreBytesThanItsLimit) {
  EXPECT_EQ(GroupsOf({.bytes = 300}, 4), (Groups{{0, 1, 2}, {3}}));
}

TEST(CommitQueueTest, ARequestAboveTheLimitIsAGroupOfItsOwn) {
  EXPECT_EQ(GroupsOf({.bytes = 50}, 3), (Groups{{0}, {1}, {2}}));
}

TEST(CommitQueueTest, EachRequestIsCommittedOnceAndGroupsOneAtATime) {
  constexpr std::size_t kThreads = 8;
  constexpr int kEach = 500;
  CommitQueue queue({.requests = 3});
  int busy = 0;                        // guarded by the queue's turns
  std::set<CommitRequest*> under_way;  // likewise
  std::size_t committed = 0;           // likewise
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        CommitRequest request;
        Commit(queue, request, [&](const Group& group) {
          EXPECT_EQ(++busy, 1);
          for (CommitRequest* const one : group) EXPECT_TRUE(under_way.insert(one).second);
          committed += group.size();
          for (CommitRequest* const one : group) under_way.erase(one);
          --busy;
        });
        EXPECT_TRUE(request.result.has_value());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(committed, kThreads * kEach);
}

}  // namespace
}  // namespace quarry::engine
