// A program with an Eigen of its own, whose vectors are aligned for wider registers
// than those the library is compiled for: memory that one of the two allocates and
// the other frees would end the program.

#define EIGEN_MAX_ALIGN_BYTES 64
#include <gtest/gtest.h>

#include <Eigen/Dense>

#include "tests/engine/pca_fixture.h"

// What pca sketches use, too. Instantiated as a whole, so that no optimisation
// inlines what the linker could take for the library's.
template class Eigen::DenseStorage<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::Dynamic, 0>;
template class Eigen::DenseStorage<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::Dynamic, 1>;
template class Eigen::DenseStorage<double, Eigen::Dynamic, Eigen::Dynamic, 1, 0>;

namespace quarry::testing_support {
namespace {

TEST_F(PcaTest, SketchesAreMadeInAProgramWithAnEigenOfItsOwn) {
  const Eigen::MatrixXd square = Eigen::MatrixXd::Identity(kDim, kDim);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(square);
  EXPECT_EQ(solver.eigenvalues().sum(), kDim);

  Write(kRows + 1);
  Set(SketchPolicy::kPca);
  EXPECT_EQ(PcaSlabs(), 1U);
  ExpectSameAnswers();
}

}  // namespace
}  // namespace quarry::testing_support
