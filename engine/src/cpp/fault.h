// How a function of ours says that libtorch threw something.

#pragma once

extern "C" {

/// Records what went wrong on this thread.
void skein_record_fault(const char* text) noexcept;

/// What went wrong last on this thread.
const char* skein_fault() noexcept;
}
