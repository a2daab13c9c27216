namespace {
constexpr int kTileBytes = 64;
}
#include "kernels/cpu/copy_tiles_body.h"

const carnot::CopyTiles& carnot::copyTilesAvx512() { return kTiles; }
