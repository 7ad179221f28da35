// What our own functions need of autograd and of tracing.

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/frontend/tracer.h>

#include <string>

#include "fault.h"

namespace {

thread_local std::string fault;

}  // namespace

extern "C" {

void skein_record_fault(const char* text) noexcept { fault = text; }

const char* skein_fault() noexcept { return fault.c_str(); }

/// Has the gradient of `out` arrive in the order in memory of `like`. libtorch's gradient of batch
/// norm takes a scalar loop where it does not.
bool skein_order_gradient(const at::Tensor* out, const at::Tensor* like) noexcept {
  try {
    auto order = like->suggest_memory_format();
    out->register_hook([order](const at::Tensor& gradient) { return gradient.contiguous(order); });
    return true;
  } catch (const std::exception& error) {
    skein_record_fault(error.what());
  }
  return false;
}

/// Whether this thread writes down libtorch's operations, as for TorchScript, which knows none of
/// ours.
bool skein_is_tracing() noexcept { return torch::jit::tracer::isTracing(); }
}
