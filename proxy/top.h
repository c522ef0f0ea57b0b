// proxy/top.h
// `weir top`: what a node does, in a terminal, from its control API.
//
//     q quits; s, or v r n a, changes the order; the arrows, j, k, space and b move through the streams
//
// Threading: the calling thread; signals that end the program put the terminal back first.
// Bounds: one picture; each request waits for kPatience.
#pragma once

#include <chrono>
#include <string>

#include "proxy/top_screen.h"

namespace weir {

struct TopOptions {
  static constexpr std::chrono::milliseconds kPatience{3'000};
  static constexpr std::chrono::milliseconds kPeriod{1'000};

  std::string url = "http://127.0.0.1:12025";
  std::string token{};
  bool once = false;  // print one picture and end; also where the output is no terminal
  TopSort sort = TopSort::Viewers;
};

// The exit status. Throws ConfigError when the URL is none, the first answer is none, or `once` fails.
int run_top(const TopOptions& options);

}  // namespace weir
