// All C++ at once: reading libtorch's headers takes most of the time of compiling any of it.

#include "arithmetic.cpp"
#include "autograd.cpp"
#include "depthwise.cpp"
#include "mixture.cpp"
