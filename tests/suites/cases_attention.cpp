#include "kernel_cases.h"

namespace carnot::test {

std::span<const KernelCase> attentionCases() {
  static const std::vector<std::string> tiled{"cpu/attention/tiled"};
  static const std::vector<KernelCase> cases{
      {.name = "attention",
       .region = "(q,k,v) o=Attention{scale=0.25}(q,k,v) -> o",
       .inputs = {"float32[2, 3, 37, 16]", "float32[2, 3, 37, 16]", "float32[2, 3, 37, 16]"},
       .supportedBy = tiled},
      {.name = "attention_dynamic_other_sizes",
       .region = "(q,k,v) o=Attention{scale=0.2}(q,k,v) -> o",
       .inputs = {"float32[batch=2, 2, s=70, 19]", "float32[batch=2, 2, t=45, 19]",
                  "float32[batch=2, 2, t=45, 77]"},
       .supportedBy = tiled},
      // Rows that lie [batch, length, heads, size] in memory, and back.
      {.name = "attention_moved_rows",
       .region = "(q,k,v,m) a=Transpose{perm=[0,2,1,3]}(q) b=Transpose{perm=[0,2,1,3]}(k) "
                 "c=Transpose{perm=[0,2,1,3]}(v) o=Attention{scale=0.25}(a,b,c,m) "
                 "p=Transpose{perm=[0,2,1,3]}(o) -> p",
       .inputs = {"float32[batch=2, s=37, 3, 16]", "float32[batch=2, t=45, 3, 16]",
                  "float32[batch=2, t=45, 3, 32]", "bool[batch=2, 1, 1, t=45]"},
       .supportedBy = tiled},
      {.name = "attention_moved_rows_length_first",
       .region = "(q,k,v) a=Transpose{perm=[1,2,0,3]}(q) b=Transpose{perm=[2,1,0,3]}(k) "
                 "o=Attention{scale=0.25}(a,b,v) p=Transpose{perm=[2,0,1,3]}(o) -> p",
       .inputs = {"float32[61, 2, 4, 24]", "float32[70, 2, 2, 24]", "float32[2, 2, 70, 19]"},
       .supportedBy = tiled},
      {.name = "attention_moved_rows_blocks_of_keys",
       .region = "(q,k) a=Transpose{perm=[0,2,1,3]}(k) o=Attention{scale=2, causal=1}(q,a,a) "
                 "p=Transpose{perm=[0,2,1,3]}(o) -> p",
       .inputs = {"float32[1, 2, 600, 16]", "float32[1, 600, 2, 16]"},
       .supportedBy = tiled},
      {.name = "attention_wide_values",
       .region = "(q,k,v) o=Attention{scale=0.125}(q,k,v) -> o",
       .inputs = {"float32[1, 2, 61, 64]", "float32[1, 2, 61, 64]", "float32[1, 2, 61, 64]"},
       .supportedBy = tiled},
      {.name = "attention_added_mask",
       .region = "(q,k,v,m) o=Attention{scale=0.25}(q,k,v,m) -> o",
       .inputs = {"float32[2, 3, 17, 16]", "float32[2, 3, 21, 16]", "float32[2, 3, 21, 16]",
                  "float32[2, 1, 1, 21] in -4 .. 0"},
       .supportedBy = tiled},
      {.name = "attention_full_mask",
       .region = "(q,k,v,m) o=Attention(q,k,v,m) -> o",
       .inputs = {"float32[2, 3, 17, 16]", "float32[2, 3, 21, 16]", "float32[2, 3, 21, 16]",
                  "float32[3, 17, 21]"},
       .supportedBy = tiled},
      {.name = "attention_kept_mask",
       .region = "(q,k,v,m) o=Attention{scale=0.25}(q,k,v,m) -> o",
       .inputs = {"float32[2, 3, 17, 16]", "float32[2, 3, 21, 16]", "float32[2, 3, 21, 16]",
                  "bool[2, 1, 17, 21]"},
       .supportedBy = tiled},
      {.name = "attention_sees_nothing",
       .region = "(q,k,v,m) o=Attention{scale=0.25}(q,k,v,m) -> o",
       .inputs = {"float32[1, 2, 5, 16]", "float32[1, 2, 9, 16]", "float32[1, 2, 9, 16]",
                  "bool[1, 1, 1, 9] = 0 0 0 0 0 0 0 0 0"},
       .supportedBy = tiled},
      {.name = "attention_causal_from_start",
       .region = "(q,k,v) o=Attention{scale=0.25, causal=1}(q,k,v) -> o",
       .inputs = {"float32[1, 2, 90, 16]", "float32[1, 2, 90, 16]", "float32[1, 2, 90, 16]"},
       .supportedBy = tiled},
      {.name = "attention_causal_from_end_shared_heads",
       .region = "(q,k,v) o=Attention{scale=0.25, causal=2}(q,k,v) -> o",
       .inputs = {"float32[2, 4, 5, 16]", "float32[2, 2, 33, 16]", "float32[2, 2, 33, 16]"},
       .supportedBy = tiled},
      {.name = "attention_causal_more_queries",
       .region = "(q,k,v) o=Attention{scale=0.25, causal=2}(q,k,v) -> o",
       .inputs = {"float32[1, 1, 70, 16]", "float32[1, 1, 33, 16]", "float32[1, 1, 33, 16]"},
       .supportedBy = tiled},
      {.name = "attention_blocks_of_keys",
       .region = "(q,k,v,m) o=Attention{scale=2}(q,k,v,m) -> o",
       .inputs = {"float32[1, 1, 9, 16]", "float32[1, 1, keys=1500, 16]",
                  "float32[1, 1, keys=1500, 24]", "float32[1, 1, 9, keys=1500] in -3 .. 3"},
       .supportedBy = tiled},
      {.name = "attention_causal_blocks_of_keys",
       .region = "(q,k,v) o=Attention{scale=0.5, causal=1}(q,k,v) -> o",
       .inputs = {"float32[1, 1, 600, 8]", "float32[1, 1, 600, 8]", "float32[1, 1, 600, 8]"},
       .supportedBy = tiled},
      {.name = "attention_no_keys",
       .region = "(q,k,v) o=Attention(q,k,v) -> o",
       .inputs = {"float32[1, 2, 3, 8]", "float32[1, 2, t=0, 8]", "float32[1, 2, t=0, 8]"},
       .supportedBy = tiled},
  };
  return cases;
}

}  // namespace carnot::test
