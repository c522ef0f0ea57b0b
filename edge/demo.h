// edge/demo.h
// `weir demo`: a whole cluster on loopback, to look at in the first minute.
//
//     ffmpeg's test picture ─► proxy ─► origin (an edge without upstream)
//     your player ◄─ edge ◄──────┘
//
// Each is a process of its own, of this same binary. The edge listens where the configuration says,
// the others on free ports. All end when one of them does, on SIGINT or SIGTERM, or after
// --seconds.
#pragma once

#include <string>

#include "common/command_line.h"

namespace weir {

// The process's exit status: 0 when it was asked to end, 1 when a part ended by itself.
int run_demo(const CommandLine& line);

}  // namespace weir
