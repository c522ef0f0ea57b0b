// common/wire/rtmp_chunk_header.cpp
#include "common/wire/rtmp_chunk_header.h"

#include <spdlog/fmt/fmt.h>

namespace weir::rtmp {
namespace {

constexpr std::array<std::uint8_t, 4> kMessageHeaderSizes = {11, 7, 3, 0};

enum class Match { Yes, No, MoreNeeded };

// Decides at the first byte that differs, so that a peer which does not repeat the extended
// timestamp need not wait for bytes of a later chunk.
Match starts_with_be32(ByteView input, std::uint32_t value) {
  std::array<std::uint8_t, 4> expected;
  store_be32(expected.data(), value);
  const std::size_t seen = std::min(input.size(), expected.size());
  if (!std::equal(expected.begin(), expected.begin() + seen, input.begin())) return Match::No;
  return seen == expected.size() ? Match::Yes : Match::MoreNeeded;
}

bool is_chunk_control(Type type) { return type == Type::SetChunkSize || type == Type::Abort; }

}  // namespace

std::size_t ChunkStreams::find(std::uint32_t chunk_stream) const {
  std::size_t index = 0;
  while (index < streams_.size() && streams_[index].header.chunk_stream != chunk_stream) ++index;
  return index;
}

Result<std::optional<ChunkHead>> ChunkStreams::read(ByteView input) {
  if (input.empty()) return std::nullopt;
  ChunkHead head;
  head.format = input[0] >> 6;
  // RTMP 5.3.1.1: 0 and 1 announce a csid of one and two more bytes, the latter little-endian.
  std::uint32_t chunk_stream = input[0] & 0x3F;
  head.basic_size = chunk_stream == 0 ? 2 : chunk_stream == 1 ? 3 : 1;
  if (input.size() < head.basic_size) return std::nullopt;
  if (head.basic_size == 2) chunk_stream = 64u + input[1];
  if (head.basic_size == 3) chunk_stream = 64u + input[1] + 256u * input[2];

  head.stream = find(chunk_stream);
  const bool fresh = head.stream == streams_.size();
  if (fresh && head.format >= 2) {
    return fail(Errc::Protocol, fmt::format("chunk stream {} begins with a type {} header",
                                            chunk_stream, head.format));
  }
  if (fresh && streams_.size() >= limits_.chunk_streams) {
    return fail(Errc::Limit, fmt::format("more than {} chunk streams", limits_.chunk_streams));
  }
  ChunkStream stream;
  stream.header.chunk_stream = chunk_stream;
  if (!fresh) stream = streams_[head.stream];
  if (stream.open && head.format != 3) {
    return fail(Errc::Protocol, fmt::format("type {} header inside a message of chunk stream {}",
                                            head.format, chunk_stream));
  }

  head.size = head.basic_size + kMessageHeaderSizes[head.format];
  if (input.size() < head.size) return std::nullopt;
  const std::uint8_t* fields = input.data() + head.basic_size;
  if (head.format <= 2) {
    stream.timestamp_field = load_be24(fields);
    stream.extended = stream.timestamp_field == kExtendedTimestamp;
  }
  if (head.format <= 1) {
    stream.header.length = load_be24(fields + 3);
    stream.header.type = Type{fields[6]};
  }
  if (head.format == 0) stream.header.stream_id = load_le32(fields + 7);

  if (stream.extended) {
    const ByteView rest = input.subspan(head.size);
    Match carried = rest.size() < 4 ? Match::MoreNeeded : Match::Yes;
    if (head.format == 3) carried = starts_with_be32(rest, stream.timestamp_field);
    if (carried == Match::MoreNeeded) return std::nullopt;
    head.carries_extended = carried == Match::Yes;
    if (head.carries_extended) {
      stream.timestamp_field = load_be32(rest.data());
      head.size += 4;
    }
  }

  if (!stream.open) {
    if (stream.header.length > limits_.message) {
      return fail(Errc::Limit, fmt::format("message of {} bytes, {} allowed", stream.header.length,
                                           limits_.message));
    }
    if (is_chunk_control(stream.header.type) && stream.header.length != 4) {
      return fail(Errc::Protocol, fmt::format("control message {} of {} bytes instead of 4",
                                              int(stream.header.type), stream.header.length));
    }
    const std::uint32_t base = head.format == 0 ? 0 : stream.header.timestamp_ms;
    stream.header.timestamp_ms = base + stream.timestamp_field;
    stream.open = true;
    stream.received = 0;
    head.starts_message = true;
    ++open_;
  }
  head.payload = std::min(chunk_size_, stream.header.length - stream.received);
  if (fresh) {
    streams_.push_back(stream);
  } else {
    streams_[head.stream] = stream;
  }
  return head;
}

bool ChunkStreams::advance(std::size_t stream, std::uint32_t bytes) {
  ChunkStream& state = streams_[stream];
  state.received += bytes;
  if (state.received < state.header.length) return false;
  state.open = false;
  --open_;
  return true;
}

Result<void> ChunkStreams::apply(const Message& message) {
  if (!is_chunk_control(message.header.type)) return {};
  const std::uint32_t value = load_be32(message.payload.data());
  if (message.header.type == Type::SetChunkSize) {
    if (value < kMinChunkSize || value > limits_.chunk_size) {
      return fail(Errc::Limit, fmt::format("chunk size {}, allowed are {} to {}", value,
                                           kMinChunkSize, limits_.chunk_size));
    }
    chunk_size_ = value;
    return {};
  }
  const std::size_t stream = find(value);
  if (stream < streams_.size() && streams_[stream].open) {
    streams_[stream].open = false;
    --open_;
  }
  return {};
}

std::uint8_t* store_chunk_header(std::uint8_t* out, unsigned format, const MessageHeader& header,
                                 std::uint32_t timestamp, bool extended) {
  const std::uint32_t chunk_stream = header.chunk_stream;
  const unsigned top = format << 6;
  if (chunk_stream < 64) {
    *out++ = static_cast<std::uint8_t>(top | chunk_stream);
  } else if (chunk_stream < 64 + 256) {
    *out++ = static_cast<std::uint8_t>(top);
    *out++ = static_cast<std::uint8_t>(chunk_stream - 64);
  } else {
    *out++ = static_cast<std::uint8_t>(top | 1);
    *out++ = static_cast<std::uint8_t>(chunk_stream - 64);
    *out++ = static_cast<std::uint8_t>((chunk_stream - 64) >> 8);
  }
  if (format <= 2) out = store_be24(out, extended ? kExtendedTimestamp : timestamp);
  if (format <= 1) {
    out = store_be24(out, header.length);
    *out++ = static_cast<std::uint8_t>(header.type);
  }
  if (format == 0) out = store_le32(out, header.stream_id);
  return extended ? store_be32(out, timestamp) : out;
}

}  // namespace weir::rtmp
