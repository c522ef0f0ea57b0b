// cache/checksum.h
// XXH64, as its specification defines it: tells whether bytes on disk are still those that were
// written. Fast enough (several GB/s) to check every byte that is served; no protection against
// who wants to deceive.
//
// Why our own: Debian's library would be one more dependency for forty lines.
#pragma once

#include <cstdint>

#include "common/bytes.h"

namespace weir {

std::uint64_t checksum64(ByteView bytes, std::uint64_t seed);

}  // namespace weir
