#include "proxy/upstream.h"

namespace weir {

std::string_view name(Protocol protocol) {
  switch (protocol) {
    case Protocol::Rtmp: return "rtmp";
    case Protocol::Http: return "http";
    case Protocol::Api: return "api";
    case Protocol::Webrtc: return "webrtc";
    case Protocol::Srt: return "srt";
    case Protocol::Rtsp: return "rtsp";
  }
  return "unknown";
}

std::string_view name(Probes probes) {
  switch (probes) {
    case Probes::Unknown: return "unknown";
    case Probes::Up: return "up";
    case Probes::Down: return "down";
  }
  return "unknown";
}

std::uint64_t Upstream::generation() const { return stable_hash(service); }

std::uint64_t stable_hash(std::string_view text, std::uint64_t seed) {
  // The offset basis and prime of the FNV specification.
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ seed;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  // SplitMix64.
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
  return hash ^ (hash >> 31);
}

}  // namespace weir
