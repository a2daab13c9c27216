namespace {
constexpr int kTileBytes = 16;
}
#include "kernels/cpu/copy_tiles_body.h"

const carnot::CopyTiles& carnot::copyTilesPortable() { return kTiles; }
