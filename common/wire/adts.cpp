#include "common/wire/adts.h"

#include <algorithm>
#include <array>

#include "common/check.h"

namespace weir::adts {
namespace {

constexpr std::array<std::uint32_t, 13> kFrequencies = {
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350};
constexpr std::uint32_t kExplicitFrequency = 15;
constexpr std::uint32_t kSbr = 5;
constexpr std::uint32_t kParametricStereo = 29;

// Bits from the front; zeros, and ok() false, once there are none left.
class BitReader {
 public:
  explicit BitReader(ByteView bytes) : bytes_(bytes) {}

  bool ok() const { return at_ <= bytes_.size() * 8; }
  std::uint32_t take(int count) {
    std::uint32_t value = 0;
    for (; count > 0; --count, ++at_) {
      const std::size_t byte = at_ / 8;
      const int bit = byte < bytes_.size() ? bytes_[byte] >> (7 - at_ % 8) & 1 : 0;
      value = value << 1 | static_cast<std::uint32_t>(bit);
    }
    return value;
  }

 private:
  ByteView bytes_;
  std::size_t at_ = 0;
};

// The index of the sampling rate; past the table when it has none.
std::size_t take_frequency(BitReader& bits) {
  const std::uint32_t index = bits.take(4);
  if (index != kExplicitFrequency) return index;
  const auto found = std::ranges::find(kFrequencies, bits.take(24));
  return static_cast<std::size_t>(found - kFrequencies.begin());
}

}  // namespace

std::optional<Config> parse_config(ByteView audio_specific_config) {
  BitReader bits(audio_specific_config);
  std::uint32_t object_type = bits.take(5);
  const std::size_t frequency = take_frequency(bits);
  const std::uint32_t channels = bits.take(4);
  if (object_type == kSbr || object_type == kParametricStereo) {
    take_frequency(bits);  // of the extension
    object_type = bits.take(5);
  }
  const bool expressible = object_type >= 1 && object_type <= 4 &&
                           frequency < kFrequencies.size() && channels >= 1 && channels <= 7;
  if (!bits.ok() || !expressible) return std::nullopt;
  return Config{.object_type = static_cast<std::uint8_t>(object_type),
                .frequency_index = static_cast<std::uint8_t>(frequency),
                .channels = static_cast<std::uint8_t>(channels)};
}

std::uint8_t* write_header(std::uint8_t* out, const Config& config, std::size_t frame_size) {
  INVARIANT(frame_size <= kMaxFrame, frame_size);
  const std::size_t size = frame_size + kHeaderSize;
  constexpr std::uint32_t kVariableRate = 0x7ff;
  *out++ = 0xff;
  *out++ = 0xf1;  // MPEG-4, no CRC
  *out++ = static_cast<std::uint8_t>((config.object_type - 1) << 6 | config.frequency_index << 2 |
                                     config.channels >> 2);
  *out++ = static_cast<std::uint8_t>((config.channels & 3) << 6 | size >> 11);
  *out++ = static_cast<std::uint8_t>(size >> 3);
  *out++ = static_cast<std::uint8_t>((size & 7) << 5 | kVariableRate >> 6);
  *out++ = static_cast<std::uint8_t>((kVariableRate & 0x3f) << 2);
  return out;
}

}  // namespace weir::adts
