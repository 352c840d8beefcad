// A system that has no thread to give.

#pragma once

#include <gtest/gtest.h>
#include <pthread.h>

#include <cstddef>

namespace quarry::testing_support {

// While one lives, no thread can be started in this process: none has a stack as large as
// is asked for then. REQUIRES: nothing sets the attributes of its threads itself
class NoThreads {
 public:
  NoThreads() {
    EXPECT_EQ(::pthread_getattr_default_np(&before_), 0);
    pthread_attr_t huge = before_;
    EXPECT_EQ(::pthread_attr_setstacksize(&huge, std::size_t{1} << 60), 0);
    EXPECT_EQ(::pthread_setattr_default_np(&huge), 0);
  }
  ~NoThreads() { EXPECT_EQ(::pthread_setattr_default_np(&before_), 0); }
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;

 private:
  pthread_attr_t before_;
};

}  // namespace quarry::testing_support
