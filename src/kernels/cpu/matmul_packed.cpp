#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/pack_panels.h"
#include "kernels/cpu/packed_product.h"

namespace carnot {
namespace {

constexpr int64_t kLeastKOfStrassen = 64;

void pack(const Panels& panels, const float* b, bool transposed, float* out) {
  for (int64_t panel = 0; panel < panels.count(); ++panel) {
    const int64_t first = panel * panels.width();
    const int64_t width = int64_t{panels.vectorsOf(panel)} * panels.lanes;
    packPanel(b + first * (transposed ? panels.k : 1), transposed ? panels.k : panels.n, transposed,
              panels.k, std::min(width, panels.n - first), width, out + panels.offset(panel));
  }
}

constexpr int kVectorsOfStrassen = 2;
constexpr int rowsOfStrassen(int lanes) { return lanes == 16 ? 14 : 6; }

std::variant<Refusal, PackedProblem> analyzeStrassen(const Problem& problem) {
  auto analyzed = packedProblem(problem);
  if (std::holds_alternative<Refusal>(analyzed)) return analyzed;
  const PackedProblem& known = std::get<PackedProblem>(analyzed);
  if (known.transposeA) return Refusal{"reads the first operand by rows"};
  if (known.k % 2 || known.k < kLeastKOfStrassen)
    return Refusal{fmt::format("halves k, which is {}", known.k)};
  if (known.n < 2 * kVectorsOfStrassen * problem.device.floatLanes())
    return Refusal{fmt::format("{} columns are no two panels", known.n)};
  return analyzed;
}

class BoundProduct : public BoundKernel {
 public:
  // `strassen`: where there are rows enough.
  BoundProduct(const BindArguments& arguments, bool strassen) : strassen_(strassen) {
    product_.stored = decodeProblem(arguments.parameters, arguments.device);
    const StoredProblem& stored = product_.stored;
    auto problem = strassen ? analyzeStrassen(stored.problem) : packedProblem(stored.problem);
    if (auto* refusal = std::get_if<Refusal>(&problem)) throwBadParameters(refusal->reason);
    product_.problem = std::get<PackedProblem>(std::move(problem));
    const int lanes = stored.problem.device.floatLanes();
    const int most = strassen ? kVectorsOfStrassen : 8;
    const int vectors =
        static_cast<int>(parameter(stored.configuration, "vectors", strassen ? most : 1, most));
    product_.rows = static_cast<int>(
        parameter(stored.configuration, "rows", 1,
                  strassen ? rowsOfStrassen(lanes) : BrgemmSpec::maxRows(lanes, vectors)));
    product_.panels = {lanes, vectors, product_.problem.n, product_.problem.k};
    if (arguments.weights.size() != 1 || arguments.weights[0].dtype != DType::F32 ||
        arguments.weights[0].count() != product_.panels.floats())
      throwBadParameters("the packed matrix has the wrong size");
    product_.weights = arguments.weights[0].as<const float>();
    product_.findInputs();
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    auto types = concreteTypes(product_.stored, product_.inputs, shapes);
    const PackedProblem& problem = product_.problem;
    const Shape& a = types[static_cast<size_t>(problem.a)].shape;
    const size_t rowAxis = a.rank() - (problem.transposeA ? 1 : 2);
    const int64_t rows = problem.rowAxis ? a[rowAxis].constant() : 1;
    const int64_t matrices = a.rank() > 2 ? a.elementCount(0, a.rank() - 2).constant() : 1;
    if (strassen_ && matrices * rows >= kLeastRowsOfStrassen)
      return strassenProduct(product_, matrices * rows);
    return ordinaryProduct(product_, matrices * rows, rows);
  }

 private:
  PackedProduct product_;
  const bool strassen_;
};

class MatMulPacked : public Kernel {
 public:
  std::string_view name() const override { return "cpu/matmul/packed"; }

  Support supports(const Problem& problem) const override {
    auto analysis = packedProblem(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    const int lanes = problem.device.floatLanes();
    const int64_t needed = (std::get<PackedProblem>(analysis).n + lanes - 1) / lanes;
    struct Tile {
      int64_t rows, vectors;
    };
    std::vector<Tile> tiles;
    if (lanes == 16)
      tiles = needed == 1 ? std::vector<Tile>{{28, 1}} : std::vector<Tile>{{14, 2}, {7, 4}};
    else
      tiles = needed == 1 ? std::vector<Tile>{{12, 1}} : std::vector<Tile>{{6, 2}, {4, 3}, {3, 4}};
    std::vector<Configuration> configurations;
    for (auto [rows, vectors] : tiles)
      if (vectors <= needed)
        configurations.push_back({{{"rows", rows}, {"vectors", vectors}},
                                  plainLayouts(problem.inputs.size()),
                                  plainLayouts(problem.outputs.size())});
    return configurations;
  }

  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    const double rows = static_cast<double>(parameter(configuration, "rows", 1, 32));
    const double vectors = static_cast<double>(parameter(configuration, "vectors", 1, 8));
    auto analysis = packedProblem(problem);
    const PackedProblem& known = std::get<PackedProblem>(analysis);
    const std::vector<int64_t>& a = shapes.inputs[static_cast<size_t>(known.a)];
    const double m =
        std::max(1.0, static_cast<double>(elementCount(a)) / static_cast<double>(known.k));
    double tiles = std::max(1.0, std::ceil(m / rows));
    double cyclesOfRow = std::max(m / tiles * vectors / 2, 4.0) / (m / tiles * vectors / 2);
    std::vector<TensorType> types = problem.inputTypes();
    for (size_t i = 0; i < types.size(); ++i)
      if (problem.inputs[i].present) types[i].shape = Shape::of(shapes.inputs[i]);
    // Wider panels read A less often.
    return roofline(costRegion(problem.region, types), problem.device,
                    (0.9 + 0.01 * vectors) / std::max(1.0, cyclesOfRow));
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    auto analyzed = packedProblem(problem);
    const PackedProblem& analysis = std::get<PackedProblem>(analyzed);
    const Panels panels{problem.device.floatLanes(),
                        static_cast<int>(parameter(configuration, "vectors", 1, 8)), analysis.n,
                        analysis.k};
    Tensor packed(DType::F32, {panels.floats()});
    const Tensor& b = *problem.inputs[static_cast<size_t>(analysis.b)].constant;
    pack(panels, static_cast<const float*>(b.data()), analysis.transposeB, packed.as<float>());
    return {encodeProblem(problem, configuration), {packed}, packedInputs(problem, analysis)};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundProduct>(arguments, false);
  }
};

// One level of Strassen's scheme: 7 products for 8 where there are rows enough, and errors about
// twice as large.
class MatMulStrassen : public MatMulPacked {
 public:
  std::string_view name() const override { return "cpu/matmul/strassen"; }

  Support supports(const Problem& problem) const override {
    auto analysis = analyzeStrassen(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    return std::vector<Configuration>{
        {{{"rows", int64_t{rowsOfStrassen(problem.device.floatLanes())}},
          {"vectors", int64_t{kVectorsOfStrassen}}},
         plainLayouts(problem.inputs.size()),
         plainLayouts(problem.outputs.size())}};
  }

  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    const auto analysis = analyzeStrassen(problem);
    const PackedProblem& known = std::get<PackedProblem>(analysis);
    const auto count = elementCount(shapes.inputs[static_cast<size_t>(known.a)]);
    const double ordinary = MatMulPacked::estimate(problem, configuration, shapes);
    // The sums of B are made once for so many rows, those of A once for so many columns.
    const double rows = static_cast<double>(count) / static_cast<double>(known.k);
    if (rows < kLeastRowsOfStrassen) return ordinary * 1.01;
    const double sums = std::max(4 / rows, 0.02) + 16 / static_cast<double>(known.n);
    return ordinary * (0.875 + sums);
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundProduct>(arguments, true);
  }
};

}  // namespace

const Kernel& matMulPacked() {
  static const MatMulPacked kernel;
  return kernel;
}

const Kernel& matMulStrassen() {
  static const MatMulStrassen kernel;
  return kernel;
}

}  // namespace carnot
