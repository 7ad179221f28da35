// Weighted sums of maps on CPUs, single precision. libtorch adds one term after the other, and for the
// gradient of a weight it stores the product of two maps before it adds that up; here a pass over
// memory does all of it. Sums are made in a fixed order, so that any number of threads gives the same
// bits.

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "fault.h"
#include "processor.h"

namespace skein::mixture {
namespace {

/// Numbers that are worked on at a time, so that they stay in a thread's cache.
constexpr int64_t BLOCK = 4096;

struct Loops {
  /// `to = weight * from`, or added to `to`.
  void (*add)(float* to, const float* from, float weight, bool first, int64_t count);
  /// `to = weight * gradient`, where there is a `to`; returns the sum of `gradient * value`.
  double (*back)(float* to, const float* gradient, const float* value, float weight, int64_t count);
};

INLINE void add_any(float* to, const float* from, float weight, bool first, int64_t count) {
  if (first) {
    for (int64_t at = 0; at < count; ++at) to[at] = weight * from[at];
  } else {
    for (int64_t at = 0; at < count; ++at) to[at] += weight * from[at];
  }
}

INLINE double back_any(float* to, const float* gradient, const float* value, float weight, int64_t count) {
  if (to != nullptr) {
    for (int64_t at = 0; at < count; ++at) to[at] = weight * gradient[at];
  }
  constexpr int64_t SUMS = 32;
  float sums[SUMS] = {};
  int64_t at = 0;
  for (; at + SUMS <= count; at += SUMS) {
    for (int64_t n = 0; n < SUMS; ++n) sums[n] += gradient[at + n] * value[at + n];
  }
  for (int64_t n = 0; at < count; ++at, ++n) sums[n] += gradient[at] * value[at];
  double sum = 0;
  for (float part : sums) sum += part;
  return sum;
}

#define LOOPS(NAME, TARGET, W)                                                                    \
  TARGET void add_##NAME(float* to, const float* from, float weight, bool first, int64_t count) { \
    add_any(to, from, weight, first, count);                                                      \
  }                                                                                               \
  TARGET double back_##NAME(float* to, const float* gradient, const float* value, float weight,   \
                            int64_t count) {                                                      \
    return back_any(to, gradient, value, weight, count);                                          \
  }                                                                                               \
  constexpr Loops NAME{add_##NAME, back_##NAME};

EACH_TARGET(LOOPS)
#undef LOOPS

const Loops& loops() {
  static const Loops found = FASTEST;
  return found;
}

/// Calls `run(block, first number, numbers)` for all blocks of a map, on all threads.
template <class Run>
void over_blocks(int64_t numbers, Run run) {
  const int64_t blocks = (numbers + BLOCK - 1) / BLOCK;
  at::parallel_for(0, blocks, 8, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      run(block, block * BLOCK, std::min(BLOCK, numbers - block * BLOCK));
    }
  });
}

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Mixture : torch::autograd::Function<Mixture> {
  /// `values` are of one shape, the first `weights.size(0)` of them weighted.
  static at::Tensor forward(AutogradContext* context, at::TensorList values, const at::Tensor& weights) {
    const auto order = values[0].suggest_memory_format();
    const int64_t weighted = weights.size(0);
    std::vector<at::Tensor> own;
    for (const at::Tensor& value : values) own.push_back(value.contiguous(order));
    // Not copies: whoever differentiates twice goes on from the values.
    std::vector<at::Tensor> saved(values.begin(), values.begin() + weighted);
    saved.push_back(weights);
    context->save_for_backward(saved);
    context->saved_data["values"] = static_cast<int64_t>(values.size());
    at::Tensor out = at::empty_like(own[0]);
    float* to = out.mutable_data_ptr<float>();
    const float* by = weights.const_data_ptr<float>();
    std::vector<const float*> from;
    for (const at::Tensor& value : own) from.push_back(value.const_data_ptr<float>());
    over_blocks(out.numel(), [&](int64_t, int64_t first, int64_t count) {
      for (size_t n = 0; n < from.size(); ++n) {
        const float weight = static_cast<int64_t>(n) < weighted ? by[n] : 1.0F;
        loops().add(to + first, from[n] + first, weight, n == 0, count);
      }
    });
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const at::Tensor weights = saved.back();
    const int64_t weighted = weights.size(0), values = context->saved_data["values"].toInt();
    variable_list found(values + 1);
    const bool of_weights = context->needs_input_grad(values);
    std::vector<at::Tensor> sums(weighted);
    const float* by = weights.const_data_ptr<float>();
    const auto order = saved[0].suggest_memory_format();
    at::Tensor gradient = gradients[0];
    if (weighted > 0) gradient = gradient.contiguous(order);
    for (int64_t n = 0; n < values; ++n) {
      const bool of_value = context->needs_input_grad(n);
      if (n >= weighted) {
        if (of_value) found[n] = gradient;
      } else if (at::GradMode::is_enabled()) {
        // Whoever differentiates twice needs operations that autograd knows.
        if (of_value) found[n] = at::mul(gradient, weights.select(0, n));
        if (of_weights) sums[n] = at::mul(gradient, saved[n]).sum();
      } else {
        sums[n] = back(found[n], gradient, saved[n].contiguous(order), by[n], of_value, of_weights);
      }
    }
    if (of_weights && weighted > 0) found[values] = at::stack(sums);
    return found;
  }

  /// The gradient of a value, where that is asked for, and that of its weight.
  static at::Tensor back(at::Tensor& found, const at::Tensor& gradient, const at::Tensor& value,
                         float weight, bool of_value, bool of_weight) {
    if (!of_weight) {
      if (of_value) found = at::mul(gradient, weight);
      return {};
    }
    float* to = nullptr;
    if (of_value) {
      found = at::empty_like(gradient);
      to = found.mutable_data_ptr<float>();
    }
    const float *by = gradient.const_data_ptr<float>(), *from = value.const_data_ptr<float>();
    std::vector<double> sums((gradient.numel() + BLOCK - 1) / BLOCK);
    over_blocks(gradient.numel(), [&](int64_t block, int64_t first, int64_t count) {
      float* own = to == nullptr ? nullptr : to + first;
      sums[block] = loops().back(own, by + first, from + first, weight, count);
    });
    double sum = 0;
    for (double part : sums) sum += part;
    return at::scalar_tensor(sum, at::kFloat);
  }
};

}  // namespace
}  // namespace skein::mixture

extern "C" {

/// The sum of some maps of one shape, the first of them weighted by `weights` `[n]`, as a tensor that
/// the caller owns; null and `skein_fault` if libtorch cannot.
at::Tensor* skein_mixture(const at::Tensor* const* values, int64_t count, const at::Tensor* weights) noexcept {
  try {
    std::vector<at::Tensor> all;
    for (int64_t n = 0; n < count; ++n) all.push_back(*values[n]);
    return new at::Tensor(skein::mixture::Mixture::apply(at::TensorList(all), *weights));
  } catch (const std::exception& error) {
    skein_record_fault(error.what());
  }
  return nullptr;
}
}
