// The two loops of depth-wise convolutions along a row of a map, over some channels at a time:
// `gather` writes for each pixel the sum of its neighbours times weights, `reduce` adds up products of
// pixels with their neighbours. They are compiled for several kinds of processors, and chosen at the
// start.

#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "processor.h"

namespace skein::depthwise {
namespace {

/// Channels are a multiple of this.
constexpr int64_t LANES = 8;
/// Most points of a kernel's side.
constexpr int64_t MOST = 7;

template <int W>
struct Lanes {
  typedef float Vec __attribute__((vector_size(W * sizeof(float)), aligned(sizeof(float)), may_alias));
};

template <int W>
using Vec = typename Lanes<W>::Vec;

/// Where the neighbours of a row's pixels are: those of pixel `n` are at `n * step + offset[t]` of
/// another row, and belong to point `point[t]` of the kernel's row.
struct Taps {
  int64_t pixels, step;
  int64_t count = 0;
  std::array<int64_t, MOST> offset{}, point{};

  Taps(int64_t pixels, int64_t step) : pixels(pixels), step(step) {}

  void add(int64_t at, int64_t of) {
    offset[count] = at;
    point[count] = of;
    ++count;
  }
};

/// Rows of another map with the neighbours, and what belongs to each: a row of the kernel, or of the
/// sums.
struct Rows {
  int64_t count = 0;
  std::array<const float*, MOST> in{};
  std::array<float*, MOST> with{};

  void add(const float* row, float* of) {
    in[count] = row;
    with[count] = of;
    ++count;
  }
};

#define LOAD(W, FROM) (*reinterpret_cast<const Vec<W>*>(FROM))
#define STORE(W, TO, VALUE) (*reinterpret_cast<Vec<W>*>(TO) = (VALUE))

template <int W, int R, int N>
INLINE void gather(float* to, int64_t out_step, const Rows& rows, int64_t first, const Taps& taps,
                   int64_t channels, int64_t at) {
  // In variables of its own: the compiler cannot know that a store changes none of them.
  Vec<W> weight[R][N];
  const float* from[R];
  int64_t shift[N];
  for (int r = 0; r < R; ++r) {
    from[r] = rows.in[first + r] + taps.offset[0] * channels + at;
    for (int t = 0; t < N; ++t) weight[r][t] = LOAD(W, rows.with[first + r] + taps.point[t] * channels + at);
  }
  for (int t = 0; t < N; ++t) shift[t] = (taps.offset[t] - taps.offset[0]) * channels;
  const int64_t step = taps.step * channels, to_step = out_step * channels;
  to += at;
  for (int64_t pixel = 0; pixel < taps.pixels; ++pixel) {
    Vec<W> sum = first == 0 ? Vec<W>{} : LOAD(W, to);
    for (int r = 0; r < R; ++r) {
      for (int t = 0; t < N; ++t) sum += LOAD(W, from[r] + shift[t]) * weight[r][t];
      from[r] += step;
    }
    STORE(W, to, sum);
    to += to_step;
  }
}

template <int W, int R, int N>
INLINE void reduce(const float* by, const Rows& rows, int64_t first, const Taps& taps, int64_t channels,
                   int64_t at) {
  Vec<W> sum[R][N];
  const float* from[R];
  int64_t shift[N];
  for (int r = 0; r < R; ++r) {
    from[r] = rows.in[first + r] + taps.offset[0] * channels + at;
    for (int t = 0; t < N; ++t) sum[r][t] = LOAD(W, rows.with[first + r] + t * channels + at);
  }
  for (int t = 0; t < N; ++t) shift[t] = (taps.offset[t] - taps.offset[0]) * channels;
  const int64_t step = taps.step * channels;
  by += at;
  for (int64_t pixel = 0; pixel < taps.pixels; ++pixel) {
    Vec<W> value = LOAD(W, by);
    for (int r = 0; r < R; ++r) {
      for (int t = 0; t < N; ++t) sum[r][t] += value * LOAD(W, from[r] + shift[t]);
      from[r] += step;
    }
    by += channels;
  }
  for (int r = 0; r < R; ++r) {
    for (int t = 0; t < N; ++t) STORE(W, rows.with[first + r] + t * channels + at, sum[r][t]);
  }
}

/// Calls `RUN(rows at a time, taps)` for all rows and channels: as many rows at a time as registers
/// allow, so that no sum waits for the one before.
#define OVER_ROWS(W, MOST_ROWS, RUN)                                                           \
  for (int64_t first = 0; first < rows.count;) {                                              \
    const int64_t most = taps.count <= 3 ? 3 : taps.count <= 5 ? 2 : MOST_ROWS;               \
    const int64_t taken = std::min(rows.count - first, most);                                 \
    for (; at + W <= channels; at += W) {                                                     \
      switch (taken * 10 + taps.count) {                                                      \
        case 11: RUN(W, 1, 1); break;                                                         \
        case 12: RUN(W, 1, 2); break;                                                         \
        case 13: RUN(W, 1, 3); break;                                                         \
        case 14: RUN(W, 1, 4); break;                                                         \
        case 15: RUN(W, 1, 5); break;                                                         \
        case 16: RUN(W, 1, 6); break;                                                         \
        case 17: RUN(W, 1, 7); break;                                                         \
        case 21: RUN(W, 2, 1); break;                                                         \
        case 22: RUN(W, 2, 2); break;                                                         \
        case 23: RUN(W, 2, 3); break;                                                         \
        case 24: RUN(W, 2, 4); break;                                                         \
        case 25: RUN(W, 2, 5); break;                                                         \
        case 26: RUN(W, 2, 6); break;                                                         \
        case 27: RUN(W, 2, 7); break;                                                         \
        case 31: RUN(W, 3, 1); break;                                                         \
        case 32: RUN(W, 3, 2); break;                                                         \
        case 33: RUN(W, 3, 3); break;                                                         \
        default: break;                                                                       \
      }                                                                                       \
    }                                                                                         \
    at = begin;                                                                               \
    first += taken;                                                                           \
  }

#define GATHER(W, R, N) gather<W, R, N>(out, out_step, rows, first, taps, channels, at)
#define REDUCE(W, R, N) reduce<W, R, N>(out, rows, first, taps, channels, at)

/// Writes to every `out_step`th pixel of `out` the sum of its neighbours times their weights, in
/// channels from `begin` on.
template <int W>
INLINE void gather_any(float* out, int64_t out_step, const Rows& rows, const Taps& taps, int64_t channels,
                       int64_t begin = 0) {
  if (rows.count == 0) {
    for (int64_t pixel = 0; pixel < taps.pixels; ++pixel) {
      std::fill(out + pixel * out_step * channels + begin, out + (pixel * out_step + 1) * channels, 0.0F);
    }
  }
  int64_t at = begin;
  OVER_ROWS(W, 1, GATHER)
}

/// Adds to the rows' sums, one row of channels for each tap, the products of `out`'s pixels with
/// their neighbours.
template <int W>
INLINE void reduce_any(const float* out, const Rows& rows, const Taps& taps, int64_t channels,
                       int64_t begin = 0) {
  int64_t at = begin;
  OVER_ROWS(W, 2, REDUCE)
}

#undef GATHER
#undef REDUCE
#undef OVER_ROWS

/// Copies numbers, or their ReLU; what is not a number stays so.
INLINE void copy_any(float* to, const float* from, int64_t count, bool relu) {
  if (relu) {
    for (int64_t at = 0; at < count; ++at) to[at] = from[at] < 0 ? 0 : from[at];
  } else {
    std::copy_n(from, count, to);
  }
}

/// Sets to zero where the ReLU's input is not above zero.
INLINE void mask_any(float* to, const float* gate, int64_t count) {
  for (int64_t at = 0; at < count; ++at) to[at] = gate[at] <= 0 ? 0 : to[at];
}

/// All loops, for one kind of processor.
struct Loops {
  void (*gather)(float*, int64_t, const Rows&, const Taps&, int64_t);
  void (*reduce)(const float*, const Rows&, const Taps&, int64_t);
  void (*copy)(float*, const float*, int64_t, bool);
  void (*mask)(float*, const float*, int64_t);
};

/// Defines `Loops` that take `W` channels at a time, and eight at a time of those that are left.
#define LOOPS(NAME, TARGET, W)                                                                        \
  TARGET void gather_##NAME(float* out, int64_t out_step, const Rows& rows, const Taps& taps,         \
                            int64_t channels) {                                                       \
    gather_any<W>(out, out_step, rows, taps, channels);                                               \
    if (channels % W != 0) gather_any<LANES>(out, out_step, rows, taps, channels, channels / W * W);  \
  }                                                                                                   \
  TARGET void reduce_##NAME(const float* out, const Rows& rows, const Taps& taps, int64_t channels) { \
    reduce_any<W>(out, rows, taps, channels);                                                         \
    if (channels % W != 0) reduce_any<LANES>(out, rows, taps, channels, channels / W * W);            \
  }                                                                                                   \
  TARGET void copy_##NAME(float* to, const float* from, int64_t count, bool relu) {                   \
    copy_any(to, from, count, relu);                                                                  \
  }                                                                                                   \
  TARGET void mask_##NAME(float* to, const float* gate, int64_t count) { mask_any(to, gate, count); } \
  constexpr Loops NAME{gather_##NAME, reduce_##NAME, copy_##NAME, mask_##NAME};

EACH_TARGET(LOOPS)
#undef LOOPS

/// The fastest ones that this processor has.
const Loops& loops() {
  static const Loops found = FASTEST;
  return found;
}

}  // namespace
}  // namespace skein::depthwise
