// What tch leaves out of libtorch: autocast to another type than half, TF32, and a GPU's memory.

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/autocast_mode.h>

namespace {

at::DeviceType device(bool cuda) { return cuda ? at::kCUDA : at::kCPU; }

}  // namespace

extern "C" {

/// Whether GPUs round what single-precision products read to TF32.
void skein_tf32(bool on) noexcept {
  auto precision = on ? at::Float32Precision::TF32 : at::Float32Precision::IEEE;
  for (auto op : {at::Float32Op::CONV, at::Float32Op::RNN, at::Float32Op::MATMUL}) {
    at::globalContext().setFloat32Precision(at::Float32Backend::CUDA, op, precision);
  }
}

/// Begins autocast to bfloat16 on this thread; says whether it was on before.
bool skein_autocast_enter(bool cuda) noexcept {
  bool before = at::autocast::is_autocast_enabled(device(cuda));
  at::autocast::set_autocast_dtype(device(cuda), at::kBFloat16);
  at::autocast::set_autocast_enabled(device(cuda), true);
  at::autocast::increment_nesting();
  return before;
}

/// Whether it is on, on this thread.
bool skein_autocast_is_on(bool cuda) noexcept {
  return at::autocast::is_autocast_enabled(device(cuda));
}

/// Ends it; weights that were cast are forgotten with the outermost one.
void skein_autocast_leave(bool cuda, bool before) noexcept {
  if (at::autocast::decrement_nesting() == 0) {
    at::autocast::clear_cache();
  }
  at::autocast::set_autocast_enabled(device(cuda), before);
}

/// The most bytes that tensors had of a GPU so far; -1 if nobody knows.
int64_t skein_gpu_peak_bytes(int8_t index) noexcept {
  try {
    auto stats = at::getDeviceAllocator(at::kCUDA)->getDeviceStats(index);
    return stats.allocated_bytes[0].peak;
  } catch (...) {
    return -1;
  }
}
}
