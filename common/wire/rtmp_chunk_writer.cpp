// common/wire/rtmp_chunk_writer.cpp
#include "common/wire/rtmp_chunk_writer.h"

#include <algorithm>
#include <array>

#include "common/check.h"
#include "common/wire/rtmp_chunk_header.h"

namespace weir::rtmp {
namespace {

template <std::size_t N>
void append_control(ByteBuffer& out, Type type, const std::array<std::uint8_t, N>& payload) {
  static_assert(N <= kMinChunkSize);
  ChunkWriter().append(out, {.chunk_stream = kControlChunkStream, .type = type}, payload);
}

void append_number(ByteBuffer& out, Type type, std::uint32_t value) {
  std::array<std::uint8_t, 4> payload;
  store_be32(payload.data(), value);
  append_control(out, type, payload);
}

}  // namespace

std::size_t encoded_size(std::uint32_t length, std::uint32_t timestamp_ms,
                         std::uint32_t chunk_stream, std::uint32_t chunk_size) {
  const std::size_t basic = chunk_stream < 64 ? 1 : chunk_stream < 64 + 256 ? 2 : 3;
  const std::size_t extended = timestamp_ms >= kExtendedTimestamp ? 4 : 0;
  const std::size_t continuations = length == 0 ? 0 : (length - 1) / chunk_size;
  return basic + 11 + extended + length + continuations * (basic + extended);
}

std::uint8_t* encode(std::uint8_t* out, const MessageHeader& header, ByteView payload,
                     std::uint32_t chunk_size) {
  INVARIANT(chunk_size > 0);
  INVARIANT(payload.size() < 1u << 24, payload.size());
  INVARIANT(header.chunk_stream >= 2 && header.chunk_stream <= 65599, header.chunk_stream);
  MessageHeader sent = header;
  sent.length = static_cast<std::uint32_t>(payload.size());
  const bool extended = sent.timestamp_ms >= kExtendedTimestamp;
  unsigned format = 0;
  do {
    out = store_chunk_header(out, format, sent, sent.timestamp_ms, extended);
    const std::size_t bytes = std::min<std::size_t>(payload.size(), chunk_size);
    out = std::copy_n(payload.begin(), bytes, out);
    payload = payload.subspan(bytes);
    format = 3;
  } while (!payload.empty());
  return out;
}

void ChunkWriter::append(ByteBuffer& out, const MessageHeader& header, ByteView payload) const {
  const std::size_t before = out.size();
  out.resize(before + encoded_size(static_cast<std::uint32_t>(payload.size()), header.timestamp_ms,
                                   header.chunk_stream, chunk_size_));
  encode(out.data() + before, header, payload, chunk_size_);
}

void ChunkWriter::set_chunk_size(ByteBuffer& out, std::uint32_t bytes) {
  INVARIANT(bytes >= kMinChunkSize && bytes < 1u << 31, bytes);
  append_set_chunk_size(out, bytes);
  chunk_size_ = bytes;
}

void append_set_chunk_size(ByteBuffer& out, std::uint32_t bytes) {
  append_number(out, Type::SetChunkSize, bytes);
}

void append_abort(ByteBuffer& out, std::uint32_t chunk_stream) {
  append_number(out, Type::Abort, chunk_stream);
}

void append_acknowledgement(ByteBuffer& out, std::uint32_t bytes_received) {
  append_number(out, Type::Acknowledgement, bytes_received);
}

void append_window_ack_size(ByteBuffer& out, std::uint32_t bytes) {
  append_number(out, Type::WindowAckSize, bytes);
}

void append_set_peer_bandwidth(ByteBuffer& out, std::uint32_t bytes, PeerBandwidth kind) {
  std::array<std::uint8_t, 5> payload;
  *store_be32(payload.data(), bytes) = static_cast<std::uint8_t>(kind);
  append_control(out, Type::SetPeerBandwidth, payload);
}

void append_user_control(ByteBuffer& out, Event event, std::uint32_t value) {
  std::array<std::uint8_t, 6> payload;
  store_be32(store_be16(payload.data(), static_cast<std::uint32_t>(event)), value);
  append_control(out, Type::UserControl, payload);
}

void append_set_buffer_length(ByteBuffer& out, std::uint32_t stream_id, std::uint32_t buffer_ms) {
  std::array<std::uint8_t, 10> payload;
  const auto event = static_cast<std::uint32_t>(Event::SetBufferLength);
  store_be32(store_be32(store_be16(payload.data(), event), stream_id), buffer_ms);
  append_control(out, Type::UserControl, payload);
}

}  // namespace weir::rtmp
