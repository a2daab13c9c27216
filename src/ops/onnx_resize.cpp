#include "ops/onnx_resize.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "ops/concat.h"
#include "ops/gather.h"
#include "ops/onnx_axes.h"
#include "ops/resize.h"

namespace carnot {

namespace {

// The enumerator that an attribute names.
template <typename T>
T choice(const OnnxNode& node, std::string_view attribute, std::string_view fallback,
         std::initializer_list<std::pair<std::string_view, T>> names) {
  const std::string given = node.attributeString(attribute, fallback);
  std::string known;
  for (const auto& [name, value] : names) {
    if (given == name) return value;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  throw Error(ErrorCode::InvalidModel, fmt::format("{} \"{}\"", attribute, given), known);
}

ResizeMode modeOf(const OnnxNode& node) {
  return choice<ResizeMode>(node, "mode", "nearest",
                            {{"nearest", ResizeMode::Nearest},
                             {"linear", ResizeMode::Linear},
                             {"bilinear", ResizeMode::Linear},
                             {"cubic", ResizeMode::Cubic}});
}

// An optional input that is left out, or given as an empty list.
bool given(const OnnxNode& node, size_t i) {
  return node.hasInput(i) && node.shapeOf(node.input(i)) != Shape{0};
}

std::vector<double> constantScales(const OnnxNode& node, size_t i) {
  const Tensor* scales = node.constantOf(node.requireInput(i));
  if (!scales)
    node.unsupported(fmt::format("scales computed at run time (input {})", i), "constants",
                     "export with sizes, or with constant scales");
  return scales->toDoubles();
}

// The dim at or below `extent`. Throws Error on one that no tensor has.
int64_t roundedDim(double extent) {
  if (!(extent < 0x1p62))
    throw Error(ErrorCode::InvalidModel, fmt::format("an axis resized to {} elements", extent),
                "fewer than 2^62");
  return static_cast<int64_t>(std::floor(extent));
}

// floor(dim * scale), as float32 has the product.
Dim scaledDim(const Dim& dim, double scale) {
  const auto factor = static_cast<float>(scale);
  if (auto known = dim.tryConstant()) return roundedDim(static_cast<float>(*known) * factor);
  // The simplest fraction that is the scale in float32.
  for (int64_t divisor = 1; divisor <= 4096; ++divisor) {
    const int64_t multiple = std::llround(scale * static_cast<double>(divisor));
    if (static_cast<float>(static_cast<double>(multiple) / static_cast<double>(divisor)) == factor)
      return floorDiv(dim * Dim(multiple), Dim(divisor));
  }
  int exponent = 0;
  const double mantissa = std::frexp(factor, &exponent);  // 24 bits
  const auto multiple = static_cast<int64_t>(std::ldexp(mantissa, 24));
  return floorDiv(dim * Dim(multiple), Dim(int64_t{1} << std::clamp(24 - exponent, 0, 62)));
}

// Sets scales and shape of the resized axes by their factors.
void scaleBy(const OnnxNode& node, Resize& resize, const Shape& input,
             const std::vector<int64_t>& axes, const std::vector<double>& factors) {
  if (factors.size() != axes.size())
    throw Error(ErrorCode::InvalidModel, fmt::format("{} scales", factors.size()),
                fmt::format("{}, one for each resized axis", axes.size()));
  for (double factor : factors)
    if (!(factor >= 0x1p-31 && factor <= 0x1p31))
      node.unsupported(fmt::format("a scale of {}", factor), "one between 2^-31 and 2^31");
  resize.scales.assign(input.rank(), 1);
  resize.shape = input;
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    resize.scales[axis] = factors[i];
    resize.shape[axis] = scaledDim(input[axis], factors[i]);
  }
}

// Sets the shape of the resized axes by their sizes.
void resizeTo(const OnnxNode& node, Resize& resize, const Shape& input,
              const std::vector<int64_t>& axes) {
  const std::vector<Dim> sizes = importDims(node, 3);
  if (sizes.size() != axes.size())
    throw Error(ErrorCode::InvalidModel, fmt::format("{} sizes", sizes.size()),
                fmt::format("{}, one for each resized axis", axes.size()));
  const std::string policy = node.attributeString("keep_aspect_ratio_policy", "stretch");
  resize.shape = input;
  if (policy == "stretch") {
    for (size_t i = 0; i < axes.size(); ++i) resize.shape[static_cast<size_t>(axes[i])] = sizes[i];
    return;
  }
  if (policy != "not_larger" && policy != "not_smaller")
    throw Error(ErrorCode::InvalidModel, fmt::format("keep_aspect_ratio_policy \"{}\"", policy),
                "stretch, not_larger or not_smaller");
  std::vector<double> factors;
  for (size_t i = 0; i < axes.size(); ++i) {
    auto size = sizes[i].tryConstant(), extent = input[static_cast<size_t>(axes[i])].tryConstant();
    if (!size || !extent || *extent == 0)
      node.unsupported(fmt::format("keep_aspect_ratio_policy {} of {}", policy, input.toString()),
                       "constant dims", "fix the dims of the resized axes");
    factors.push_back(static_cast<double>(*size) / static_cast<double>(*extent));
  }
  const auto [least, most] = std::minmax_element(factors.begin(), factors.end());
  const double scale = policy == "not_larger" ? *least : *most;
  resize.scales.assign(input.rank(), 1);
  for (int64_t at : axes) {
    const auto axis = static_cast<size_t>(at);
    resize.scales[axis] = scale;
    resize.shape[axis] = roundedDim(scale * static_cast<double>(input[axis].constant()) + 0.5);
  }
}

// The region of every axis: the whole of those that are not resized.
OnnxNode::Ref spreadRegion(OnnxNode& node, OnnxNode::Ref region, const std::vector<int64_t>& axes,
                           size_t rank) {
  const auto start = static_cast<int64_t>(2 * axes.size()), end = start + 1;
  std::vector<int64_t> indices(2 * rank, start);
  std::fill(indices.begin() + static_cast<ptrdiff_t>(rank), indices.end(), end);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    indices[axis] = static_cast<int64_t>(i);
    indices[rank + axis] = static_cast<int64_t>(axes.size() + i);
  }
  const double whole[] = {0, 1};
  const OnnxNode::Ref bounds =
      node.constant(Tensor::from<double>(node.dtypeOf(region), {2}, whole));
  const OnnxNode::Ref extended = node.emit(Operator::of(Concat{.axis = 0}), {region, bounds});
  return node.emit(Operator::of(Gather{.axis = 0}), {extended, emitInts(node, indices)});
}

// Before opset 11 there were no coordinate modes: element i lies at i / scale. Nearest rounds down,
// but up along axes that shrink.
void emitAsymmetric(OnnxNode& node, const std::vector<double>& factors) {
  OnnxNode::Ref y = node.requireInput(0);
  std::vector<int64_t> axes(node.rankOf(y));
  std::iota(axes.begin(), axes.end(), 0);
  Resize resize{.mode = modeOf(node),
                .coordinates = ResizeCoordinates::Asymmetric,
                .nearest = ResizeNearest::Floor};
  const bool nearest = resize.mode == ResizeMode::Nearest;
  const bool shrinks =
      std::any_of(factors.begin(), factors.end(), [](double factor) { return factor < 1; });
  if (!nearest || !shrinks) {
    scaleBy(node, resize, node.shapeOf(y), axes, factors);
    return node.setOutput(0, node.emit(Operator::of(std::move(resize)), {y}));
  }
  std::vector<double> growing = factors, shrinking = factors;
  for (double& factor : growing) factor = std::max(factor, 1.0);
  for (double& factor : shrinking) factor = std::min(factor, 1.0);
  if (growing != std::vector<double>(axes.size(), 1.0)) {
    Resize grow = resize;
    scaleBy(node, grow, node.shapeOf(y), axes, growing);
    y = node.emit(Operator::of(std::move(grow)), {y});
  }
  resize.nearest = ResizeNearest::Ceil;
  scaleBy(node, resize, node.shapeOf(y), axes, shrinking);
  node.setOutput(0, node.emit(Operator::of(std::move(resize)), {y}));
}

}  // namespace

void importResize(OnnxNode& node) {
  if (node.opset() < 11) return emitAsymmetric(node, constantScales(node, 1));
  const OnnxNode::Ref x = node.requireInput(0);
  const Shape input = node.shapeOf(x);
  Resize resize{
      .mode = modeOf(node),
      .coordinates = choice<ResizeCoordinates>(
          node, "coordinate_transformation_mode", "half_pixel",
          {{"half_pixel", ResizeCoordinates::HalfPixel},
           {"half_pixel_symmetric", ResizeCoordinates::HalfPixelSymmetric},
           {"pytorch_half_pixel", ResizeCoordinates::PytorchHalfPixel},
           {"align_corners", ResizeCoordinates::AlignCorners},
           {"asymmetric", ResizeCoordinates::Asymmetric},
           {"tf_crop_and_resize", ResizeCoordinates::TfCropAndResize},
           {"tf_half_pixel_for_nn", ResizeCoordinates::TfHalfPixelForNearest}}),
      .nearest = choice<ResizeNearest>(node, "nearest_mode", "round_prefer_floor",
                                       {{"round_prefer_floor", ResizeNearest::RoundPreferFloor},
                                        {"round_prefer_ceil", ResizeNearest::RoundPreferCeil},
                                        {"floor", ResizeNearest::Floor},
                                        {"ceil", ResizeNearest::Ceil}}),
      .cubicA = node.attributeFloat("cubic_coeff_a", -0.75),
      .excludeOutside = node.attributeInt("exclude_outside", 0) != 0,
      .antialias = node.attributeInt("antialias", 0) != 0,
      .extrapolation = node.attributeFloat("extrapolation_value", 0)};
  if (resize.mode == ResizeMode::Nearest && resize.antialias)
    throw Error(ErrorCode::InvalidModel, "antialias with mode nearest", "mode linear or cubic");
  std::vector<int64_t> axes(input.rank());
  std::iota(axes.begin(), axes.end(), 0);
  const bool someAxes = node.hasAttribute("axes");
  if (someAxes) axes = *importAxes(node, node.inputCount(), "axes", input.rank());
  if (given(node, 3))
    resizeTo(node, resize, input, axes);
  else
    scaleBy(node, resize, input, axes, constantScales(node, 2));
  std::vector<OnnxNode::Ref> inputs = {x};
  if (resize.coordinates == ResizeCoordinates::TfCropAndResize) {
    const OnnxNode::Ref region = node.requireInput(1);
    inputs.push_back(someAxes ? spreadRegion(node, region, axes, input.rank()) : region);
  }
  node.setOutput(0, node.emit(Operator::of(std::move(resize)), inputs));
}

void importUpsample(OnnxNode& node) {
  if (node.opset() >= 9) return emitAsymmetric(node, constantScales(node, 1));
  if (node.opset() >= 7) return emitAsymmetric(node, node.attributeFloats("scales"));
  emitAsymmetric(
      node, {1, 1, node.attributeFloat("height_scale", 1), node.attributeFloat("width_scale", 1)});
}

}  // namespace carnot
