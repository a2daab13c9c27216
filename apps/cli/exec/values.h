#pragma once

#include <carnot/dtype.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/exec/options.h"
#include "cli/shapes.h"

// Values of flags. Each throws Error (InvalidArgument) saying what it has and needs.
namespace carnot::cli::exec {

int wholeNumber(std::string_view text, int least, int most = INT32_MAX);
double number(std::string_view text, double least, double most = 1e15);
std::vector<double> percentiles(std::string_view text);  // "90,95,99"
// "4096", "0.5": MiB.
double mebibytes(std::string_view text);
// "workspace:4096", "workspace:1.5G": MiB of the one pool there is; suffixes B, K, M, G.
double workspacePool(std::string_view text);
// parseShapes, with at most one '*' in a name.
Shapes shapePatterns(std::string_view text);
// "fp16": the type of one name.
DType typeOf(std::string_view name);
// "layer:fp16,*:fp32"; of "layer:fp32+fp16" the first output's.
std::map<std::string, DType> layerTypes(std::string_view text);
// "input:file.bin,other:file.npy"; names may stand in single quotes.
std::map<std::string, std::string> namedFiles(std::string_view text);
double positive(std::string_view text);
std::vector<std::string> words(std::string_view text);  // "a,b"
// "l0", "l1", "l2", "lInf", "cos".
Accuracy accuracyOf(std::string_view text);
// "summary,numpy".
std::vector<std::string> debugFormats(std::string_view text);
// "+CUDNN,-CUBLAS_LT": folders of kernels that are to be left out.
std::vector<std::string> kernelsLeftOut(std::string_view text);

}  // namespace carnot::cli::exec
