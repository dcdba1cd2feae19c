// Groups (token, expert) pairs by expert, in tiles of up to four: one workgroup, a thread per expert, the same tiles in
// every run. Tiles that are left over have no pairs.
#include "common/moe.h"
#include "generated/hip_moe_tiles.h"

TW_KERNEL(256) moe_tiles(TW_HIP_MOE_TILES_ARGUMENTS) {
  using namespace tw;
  TW_SHARED u32 counts[1024];
  const i32* chosen = (const i32*)ids;
  MoeTile* made = (MoeTile*)tiles;
  for (u32 expert = thread_x(); expert < p.experts; expert += 256) {
    u32 count = 0;
    for (u32 i = 0; i < p.pairs; i++) count += u32(chosen[i]) == expert;
    counts[expert] = (count + moe_columns - 1) / moe_columns;
  }
  barrier_lds();
  for (u32 expert = thread_x(); expert < p.experts; expert += 256) {
    u32 at = 0;
    for (u32 before = 0; before < expert; before++) at += counts[before];
    u32 filled = 0;
    u32 last = 0;
    for (u32 i = 0; i < p.pairs && counts[expert] > 0; i++) {
      if (u32(chosen[i]) != expert) continue;
      MoeTile& tile = made[at + filled / moe_columns];
      tile.expert = expert;
      tile.count = filled % moe_columns + 1;
      tile.pairs[filled % moe_columns] = last = i;
      filled++;
    }
    for (; filled % moe_columns != 0; filled++) made[at + filled / moe_columns].pairs[filled % moe_columns] = last;
    if (expert + 1 == p.experts) {
      for (at += counts[expert]; at < p.tiles; at++) made[at].count = 0;
    }
  }
}
