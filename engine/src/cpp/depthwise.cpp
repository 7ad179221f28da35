// Depth-wise convolutions on CPUs: output and both gradients, single precision, channels-last.
//
// libtorch's gradients of them take several times as long as their output, of dilated ones some forty
// times. Here everything is one of two loops along a row of a map (`depthwise_rows.h`). A thread works
// on a band of rows at a time: it copies those that the band reads into its cache, with zeros on both
// sides and rectified if a ReLU stands before the convolution. Sums are made in a fixed order, so that
// any number of threads gives the same bits.

#include <ATen/Parallel.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/threshold_backward.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>
#include <vector>

#include "depthwise_rows.h"
#include "fault.h"

namespace skein::depthwise {
namespace {

/// Parts of a batch whose sums are added up in the end; more than threads, so that their number
/// changes nothing.
constexpr int64_t PARTS = 16;
/// Numbers that a thread copies at a time, so that they stay in its cache.
constexpr int64_t COPIED = 32768;

/// A convolution of maps `[batch, channels, height, width]` to `[batch, channels, rows, columns]`.
struct Shape {
  int64_t batch, channels, height, width, rows, columns, kernel, stride, padding, dilation;

  Shape(const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding, int64_t dilation)
      : batch(x.size(0)), channels(x.size(1)), height(x.size(2)), width(x.size(3)),
        kernel(weight.size(2)), stride(stride), padding(padding), dilation(dilation) {
    rows = (height + 2 * padding - reach() - 1) / stride + 1;
    columns = (width + 2 * padding - reach() - 1) / stride + 1;
  }

  /// From the first point of the kernel to the last.
  int64_t reach() const { return dilation * (kernel - 1); }
};

/// The rows of maps, copied with zeros on both sides, so that no pixel lacks a neighbour.
struct Copies {
  const float* from;
  int64_t height, width, channels, left, right;
  bool relu;

  /// Numbers of a row.
  int64_t row() const { return (left + width + right) * channels; }

  /// How many of `rows` rows are worked on at a time, if each takes `step` new ones of these.
  int64_t band(int64_t rows, int64_t step) const {
    return std::clamp<int64_t>(COPIED / std::max<int64_t>(row() * step, 1), 1, std::max<int64_t>(rows, 1));
  }

  /// Copies some rows of an image into a buffer whose sides are zero.
  void fill(std::vector<float>& buffer, int64_t image, int64_t first, int64_t last) const {
    if (first >= last) return;
    buffer.resize(std::max<size_t>(buffer.size(), (last - first) * row()), 0.0F);
    for (int64_t at = first; at < last; ++at) {
      loops().copy(buffer.data() + (at - first) * row() + left * channels,
                   from + (image * height + at) * width * channels, width * channels, relu);
    }
  }
};

/// Not filled yet.
at::Tensor map(int64_t batch, int64_t channels, int64_t height, int64_t width) {
  auto options = at::TensorOptions().dtype(at::kFloat).memory_format(at::MemoryFormat::ChannelsLast);
  return at::empty({batch, channels, height, width}, options);
}

at::Tensor in_order(const at::Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

/// `[channels, 1, kernel, kernel]` as `[kernel, kernel, channels]`.
at::Tensor by_point(const at::Tensor& weight) { return weight.squeeze(1).permute({1, 2, 0}).contiguous(); }

/// The rows of the input that some rows of the output read.
struct Read {
  const Shape& of;
  Copies copies;
  Taps taps;

  Read(const at::Tensor& x, const Shape& of, bool relu)
      : of(of), copies{x.const_data_ptr<float>(), of.height, of.width, of.channels, of.padding, 0, relu},
        taps(of.columns, of.stride) {
    copies.right = std::max<int64_t>(0, (of.columns - 1) * of.stride + of.reach() + 1 - of.padding - of.width);
    for (int64_t j = 0; j < of.kernel; ++j) taps.add(j * of.dilation, j);
  }

  int64_t band() const { return copies.band(of.rows, of.stride); }

  /// Calls `run(row, rows)` for the output's rows of a band; `with(i)` belongs to row `i` of the kernel.
  template <class With, class Run>
  void each(std::vector<float>& buffer, int64_t image, int64_t begin, int64_t end, With with, Run run) const {
    const int64_t first = std::max<int64_t>(0, begin * of.stride - of.padding);
    const int64_t last = std::min(of.height, (end - 1) * of.stride - of.padding + of.reach() + 1);
    copies.fill(buffer, image, first, last);
    for (int64_t row = begin; row < end; ++row) {
      Rows rows;
      for (int64_t i = 0; i < of.kernel; ++i) {
        const int64_t at = row * of.stride - of.padding + i * of.dilation;
        if (at >= 0 && at < of.height) rows.add(buffer.data() + (at - first) * copies.row(), with(i));
      }
      run(row, rows);
    }
  }
};

at::Tensor output(const at::Tensor& x, const at::Tensor& weight, const Shape& of, bool relu) {
  at::Tensor out = map(of.batch, of.channels, of.rows, of.columns), points = by_point(weight);
  float *by = points.mutable_data_ptr<float>(), *to = out.mutable_data_ptr<float>();
  const Read read(x, of, relu);
  const int64_t band = read.band(), bands = (of.rows + band - 1) / band, row = of.columns * of.channels;
  auto with = [&](int64_t i) { return by + i * of.kernel * of.channels; };
  at::parallel_for(0, of.batch * bands, 1, [&](int64_t first, int64_t last) {
    std::vector<float> buffer;
    for (int64_t item = first; item < last; ++item) {
      const int64_t image = item / bands, begin = item % bands * band;
      auto run = [&](int64_t at, const Rows& rows) {
        loops().gather(to + (image * of.rows + at) * row, 1, rows, read.taps, of.channels);
      };
      read.each(buffer, image, begin, std::min(begin + band, of.rows), with, run);
    }
  });
  return out;
}

at::Tensor weight_gradient(const at::Tensor& gradient, const at::Tensor& x, const Shape& of, bool relu) {
  const Read read(x, of, relu);
  const int64_t band = read.band(), bands = (of.rows + band - 1) / band, row = of.columns * of.channels;
  const int64_t items = of.batch * bands, parts = std::min(PARTS, items);
  at::Tensor sums = at::zeros({parts, of.kernel, of.kernel, of.channels}, at::kFloat);
  const float* by = gradient.const_data_ptr<float>();
  float* to = sums.mutable_data_ptr<float>();
  at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
    std::vector<float> buffer;
    for (int64_t part = first; part < last; ++part) {
      auto with = [&](int64_t i) { return to + (part * of.kernel + i) * of.kernel * of.channels; };
      for (int64_t item = part * items / parts; item < (part + 1) * items / parts; ++item) {
        const int64_t image = item / bands, begin = item % bands * band;
        auto run = [&](int64_t at, const Rows& rows) {
          loops().reduce(by + (image * of.rows + at) * row, rows, read.taps, of.channels);
        };
        read.each(buffer, image, begin, std::min(begin + band, of.rows), with, run);
      }
    }
  });
  return sums.sum(0).permute({2, 0, 1}).unsqueeze(1);
}

/// Division that rounds up, of numbers below zero too.
int64_t up(int64_t number, int64_t by) { return number >= 0 ? (number + by - 1) / by : -(-number / by); }

/// The rows of the gradient that some rows of the input's gradient read.
struct ReadBack {
  const Shape& of;
  Copies copies;
  /// Pixels that are equally far from a multiple of the stride have the same neighbours.
  std::vector<Taps> phases;
  bool all_have_taps = true;

  ReadBack(const at::Tensor& gradient, const Shape& of)
      : of(of), copies{gradient.const_data_ptr<float>(), of.rows, of.columns, of.channels, 0, 0, false} {
    copies.left = std::max<int64_t>(0, -up(of.padding - of.reach(), of.stride));
    for (int64_t q = 0; q < std::min(of.stride, of.width); ++q) {
      const int64_t pixels = (of.width - q + of.stride - 1) / of.stride;
      phases.emplace_back(pixels, 1);
      for (int64_t j = 0; j < of.kernel; ++j) {
        const int64_t strided = q + of.padding - j * of.dilation;
        if (strided % of.stride != 0) continue;
        const int64_t offset = strided / of.stride;
        phases.back().add(offset + copies.left, j);
        copies.right = std::max(copies.right, pixels + offset - of.columns);
      }
      all_have_taps = all_have_taps && phases.back().count > 0;
    }
  }

  /// Row `at` of the input's gradient, where `buffer` holds the gradient's rows from `first` on.
  void row(float* to, int64_t at, const std::vector<float>& buffer, int64_t first, float* points) const {
    Rows rows;
    for (int64_t i = 0; i < of.kernel; ++i) {
      const int64_t strided = at + of.padding - i * of.dilation;
      if (strided < 0 || strided % of.stride != 0 || strided / of.stride >= of.rows) continue;
      rows.add(buffer.data() + (strided / of.stride - first) * copies.row(), points + i * of.kernel * of.channels);
    }
    if (!all_have_taps) std::fill_n(to, of.width * of.channels, 0.0F);
    for (size_t q = 0; q < phases.size(); ++q) {
      loops().gather(to + q * of.channels, of.stride, rows, phases[q], of.channels);
    }
  }
};

/// Of `x`, or of what its ReLU reads.
at::Tensor input_gradient(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight,
                          const Shape& of, bool relu) {
  at::Tensor out = map(of.batch, of.channels, of.height, of.width), points = by_point(weight);
  float *by = points.mutable_data_ptr<float>(), *to = out.mutable_data_ptr<float>();
  const float* gate = relu ? x.const_data_ptr<float>() : nullptr;
  const ReadBack read(gradient, of);
  const int64_t band = read.copies.band(of.height, 1), bands = (of.height + band - 1) / band;
  const int64_t row = of.width * of.channels;
  at::parallel_for(0, of.batch * bands, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> buffer;
    for (int64_t item = begin; item < end; ++item) {
      const int64_t image = item / bands, from = item % bands * band, until = std::min(from + band, of.height);
      const int64_t first = std::max<int64_t>(0, up(from + of.padding - of.reach(), of.stride));
      read.copies.fill(buffer, image, first, std::min(of.rows, (until - 1 + of.padding) / of.stride + 1));
      for (int64_t at = from; at < until; ++at) {
        const int64_t place = (image * of.height + at) * row;
        read.row(to + place, at, buffer, first, by);
        if (gate != nullptr) loops().mask(to + place, gate + place, row);
      }
    }
  });
  return out;
}

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Depthwise : torch::autograd::Function<Depthwise> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            int64_t stride, int64_t padding, int64_t dilation, bool relu) {
    // Not the copy that is read: whoever differentiates twice goes on from `x`.
    context->save_for_backward({x, weight});
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    context->saved_data["dilation"] = dilation;
    context->saved_data["relu"] = relu;
    return output(in_order(x), weight, Shape(x, weight, stride, padding, dilation), relu);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    auto setting = [&](const char* name) { return context->saved_data[name].toInt(); };
    int64_t stride = setting("stride"), padding = setting("padding"), dilation = setting("dilation");
    bool relu = context->saved_data["relu"].toBool();
    bool of_input = context->needs_input_grad(0), of_weight = context->needs_input_grad(1);
    at::Tensor input, kernel;
    if (at::GradMode::is_enabled()) {
      // Whoever differentiates twice needs operations that autograd knows.
      std::tie(input, kernel, std::ignore) = at::convolution_backward(
          gradients[0], relu ? x.relu() : x, weight, at::OptionalIntArrayRef(), {stride, stride},
          {padding, padding}, {dilation, dilation}, false, {0, 0}, x.size(1),
          {of_input, of_weight, false});
      if (relu && of_input) input = at::threshold_backward(input, x, 0);
    } else {
      at::Tensor gradient = in_order(gradients[0]), read = in_order(x);
      Shape of(x, weight, stride, padding, dilation);
      if (of_input) input = input_gradient(gradient, read, weight, of, relu);
      if (of_weight) kernel = weight_gradient(gradient, read, of, relu);
    }
    return {input, kernel, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace
}  // namespace skein::depthwise

extern "C" {

/// A depth-wise convolution, of the ReLU of `x` where that is asked for, as a tensor that the caller
/// owns; null and `skein_fault` if libtorch cannot.
at::Tensor* skein_depthwise(const at::Tensor* x, const at::Tensor* weight, int64_t stride,
                            int64_t padding, int64_t dilation, bool relu) noexcept {
  try {
    return new at::Tensor(skein::depthwise::Depthwise::apply(*x, *weight, stride, padding, dilation, relu));
  } catch (const std::exception& error) {
    skein_record_fault(error.what());
  }
  return nullptr;
}
}
