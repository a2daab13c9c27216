namespace {
constexpr int kTileBytes = 32;
}
#include "kernels/cpu/copy_tiles_body.h"

const carnot::CopyTiles& carnot::copyTilesAvx2() { return kTiles; }
