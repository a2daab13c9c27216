#pragma once

#include <carnot/dtype.h>

#include <cstdint>

// Arithmetic of single elements: integers travel as int64 (U64 with its bits), real numbers as
// double, whatever their type's width.
namespace carnot::scalar {

int64_t wrapped(DType type, int64_t value);  // the type's own width and sign
int64_t divide(DType type, int64_t a, int64_t b);
int64_t truncMod(DType type, int64_t a, int64_t b);
int64_t floorMod(DType type, int64_t a, int64_t b);
double floorMod(double a, double b);
bool less(DType type, int64_t a, int64_t b);
int64_t power(DType type, int64_t base, int64_t exponent);
int64_t shiftLeft(DType type, int64_t a, int64_t by);
int64_t shiftRight(DType type, int64_t a, int64_t by);

double roundTo(DType type, double value);
double roundTo(DType type, DType from, int64_t value);
int64_t toInteger(DType type, double value);

}  // namespace carnot::scalar
