// The only include of Eigen, under a name of this library. A service may have an
// Eigen of its own, compiled for another CPU: functions that allocate for wider
// registers have the same names there, and the linker would keep one of each.

#pragma once

#define Eigen quarry_eigen
#include <Eigen/Dense>
#undef Eigen

namespace quarry::engine {

namespace Eigen = ::quarry_eigen;

}  // namespace quarry::engine
