// common/check.h
// INVARIANT(condition, values...): our own bugs end the process at once, with place
// and values. It stays on in release builds and is never for what a peer can cause.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace weir::detail {

template <class... Values>
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const Values&... values) {
  std::ostringstream text;
  ((text << ' ' << values), ...);
  std::fprintf(stderr, "%s:%d: INVARIANT(%s) failed:%s\n", file, line, condition,
               text.str().c_str());
  std::abort();
}

}  // namespace weir::detail

#define INVARIANT(condition, ...)                                                              \
  do {                                                                                         \
    if (!(condition)) [[unlikely]]                                                             \
      ::weir::detail::check_failed(__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)
