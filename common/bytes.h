// common/bytes.h
// The words for raw memory, and big-endian numbers in it. Every format weir speaks
// is big-endian, but for the one little-endian field of RTMP (load_le32).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace weir {

using ByteView = std::span<const std::uint8_t>;
using ByteBuffer = std::vector<std::uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline void append(ByteBuffer& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// REQUIRES: as many readable bytes at `p` as the name says.
inline std::uint32_t load_be16(const std::uint8_t* p) { return std::uint32_t{p[0]} << 8 | p[1]; }
inline std::uint32_t load_be24(const std::uint8_t* p) {
  return std::uint32_t{p[0]} << 16 | std::uint32_t{p[1]} << 8 | p[2];
}
inline std::uint32_t load_be32(const std::uint8_t* p) {
  return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
}
inline std::uint64_t load_be64(const std::uint8_t* p) {
  return std::uint64_t{load_be32(p)} << 32 | load_be32(p + 4);
}
inline std::uint32_t load_le32(const std::uint8_t* p) {
  return std::uint32_t{p[3]} << 24 | std::uint32_t{p[2]} << 16 | std::uint32_t{p[1]} << 8 | p[0];
}

// REQUIRES: as much writable room at `p` as the name says. Each returns the byte after what it
// wrote.
inline std::uint8_t* store_be16(std::uint8_t* p, std::uint32_t value) {
  p[0] = static_cast<std::uint8_t>(value >> 8);
  p[1] = static_cast<std::uint8_t>(value);
  return p + 2;
}
inline std::uint8_t* store_be24(std::uint8_t* p, std::uint32_t value) {
  p[0] = static_cast<std::uint8_t>(value >> 16);
  return store_be16(p + 1, value);
}
inline std::uint8_t* store_be32(std::uint8_t* p, std::uint32_t value) {
  p[0] = static_cast<std::uint8_t>(value >> 24);
  return store_be24(p + 1, value);
}
inline std::uint8_t* store_be64(std::uint8_t* p, std::uint64_t value) {
  return store_be32(store_be32(p, static_cast<std::uint32_t>(value >> 32)),
                    static_cast<std::uint32_t>(value));
}
inline std::uint8_t* store_le32(std::uint8_t* p, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) *p++ = static_cast<std::uint8_t>(value >> shift);
  return p;
}

}  // namespace weir
