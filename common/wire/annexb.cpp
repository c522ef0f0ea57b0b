#include "common/wire/annexb.h"

#include <array>

namespace weir::annexb {
namespace {

constexpr std::array<std::uint8_t, 4> kStartCode = {0, 0, 0, 1};
// Any kind of slice may follow.
constexpr std::array<std::uint8_t, 6> kH264Delimiter = {0, 0, 0, 1, 0x09, 0xf0};
constexpr std::array<std::uint8_t, 7> kHevcDelimiter = {0, 0, 0, 1, 0x46, 0x01, 0x50};

// NAL unit types: H.264 table 7-1, HEVC table 7-1.
enum class Nal { SequenceParameters, Delimiter, Other };

Nal kind_of(Syntax syntax, std::uint8_t first) {
  const int type = syntax == Syntax::H264 ? first & 0x1f : first >> 1 & 0x3f;
  const bool h264 = syntax == Syntax::H264;
  if (type == (h264 ? 7 : 33)) return Nal::SequenceParameters;
  if (type == (h264 ? 9 : 35)) return Nal::Delimiter;
  return Nal::Other;
}

void append_nal(ByteBuffer& out, ByteView nal) {
  append(out, kStartCode);
  append(out, nal);
}

// Takes what a length field of `length_size` bytes announces off the front of `rest`.
std::optional<ByteView> take(ByteView& rest, std::size_t length_size) {
  if (rest.size() < length_size) return std::nullopt;
  std::size_t size = 0;
  for (std::size_t i = 0; i < length_size; ++i) size = size << 8 | rest[i];
  if (rest.size() - length_size < size) return std::nullopt;
  const ByteView taken = rest.subspan(length_size, size);
  rest = rest.subspan(length_size + size);
  return taken;
}

bool append_sets(ByteBuffer& out, ByteView& rest, std::size_t count) {
  for (; count > 0; --count) {
    const auto nal = take(rest, 2);
    if (!nal || nal->empty()) return false;
    append_nal(out, *nal);
    if (out.size() > kMaxParameterSets) return false;
  }
  return true;
}

bool read_h264(Config& config, ByteView record) {
  if (record.size() < 7 || record[0] != 1) return false;
  config.length_size = static_cast<std::uint8_t>((record[4] & 3) + 1);
  const std::size_t sequence_sets = record[5] & 0x1f;
  ByteView rest = record.subspan(6);
  if (sequence_sets == 0 || !append_sets(config.parameter_sets, rest, sequence_sets)) return false;
  if (rest.empty()) return false;
  const std::size_t picture_sets = rest[0];
  rest = rest.subspan(1);
  return append_sets(config.parameter_sets, rest, picture_sets);
}

bool read_hevc(Config& config, ByteView record) {
  constexpr std::uint8_t kFirstSet = 32;  // video, sequence, picture
  constexpr std::uint8_t kLastSet = 34;
  if (record.size() < 23 || record[0] != 1) return false;
  config.length_size = static_cast<std::uint8_t>((record[21] & 3) + 1);
  bool sequence_seen = false;
  ByteView rest = record.subspan(23);
  for (int arrays = record[22]; arrays > 0; --arrays) {
    if (rest.size() < 3) return false;
    const int type = rest[0] & 0x3f;
    const std::size_t count = load_be16(rest.data() + 1);
    rest = rest.subspan(3);
    ByteBuffer others;
    const bool needed = type >= kFirstSet && type <= kLastSet;
    if (!append_sets(needed ? config.parameter_sets : others, rest, count)) return false;
    sequence_seen = sequence_seen || (type == 33 && count > 0);
  }
  return sequence_seen;
}

}  // namespace

std::optional<Config> parse_config(Syntax syntax, ByteView record) {
  Config config{.syntax = syntax, .length_size = 4, .parameter_sets = {}};
  const bool read = syntax == Syntax::H264 ? read_h264(config, record) : read_hevc(config, record);
  if (!read || config.length_size == 3) return std::nullopt;
  return config;
}

bool append_picture(ByteBuffer& out, const Config& config, ByteView picture, bool keyframe) {
  bool own_sets = false;
  bool any = false;
  for (ByteView rest = picture; !rest.empty();) {
    const auto nal = take(rest, config.length_size);
    if (!nal) return false;
    if (nal->empty()) continue;
    const Nal kind = kind_of(config.syntax, nal->front());
    own_sets = own_sets || kind == Nal::SequenceParameters;
    any = any || kind != Nal::Delimiter;
  }
  if (!any) return false;
  if (config.syntax == Syntax::H264)
    append(out, kH264Delimiter);
  else
    append(out, kHevcDelimiter);
  if (keyframe && !own_sets) append(out, config.parameter_sets);
  for (ByteView rest = picture; !rest.empty();) {
    const ByteView nal = *take(rest, config.length_size);
    const bool wanted = !nal.empty() && kind_of(config.syntax, nal.front()) != Nal::Delimiter;
    if (wanted) append_nal(out, nal);
  }
  return true;
}

}  // namespace weir::annexb
