// test/bench/rtmp_wire.h
// As much of RTMP as the bench tools need: chunks in, chunks out, AMF0 commands.
//
// It is not common/wire on purpose: what weir writes is read here by code that shares no mistake with it.
//
// Bounds: a message is at most 2^24-1 bytes; these tools talk to servers that run.py has started.
#pragma once

#include <algorithm>
#include <bit>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/wire/rtmp_message.h"

namespace weir::bench {

inline constexpr std::size_t kHandshakeSize = 1536;

inline std::uint32_t chunk_stream_of(rtmp::Type type) {
  switch (type) {
    case rtmp::Type::Audio: return rtmp::kAudioChunkStream;
    case rtmp::Type::Video: return rtmp::kVideoChunkStream;
    case rtmp::Type::DataAmf0: return rtmp::kDataChunkStream;
    case rtmp::Type::CommandAmf0: return rtmp::kCommandChunkStream;
    default: return rtmp::kControlChunkStream;
  }
}

// RTMP 5.3.1: a full header, then the rest in chunks of type 3. REQUIRES: timestamp_ms < 2^24-1.
inline void write_message(ByteBuffer& out, rtmp::Type type, std::uint32_t stream_id,
                          std::uint32_t timestamp_ms, ByteView payload,
                          std::size_t chunk_size = rtmp::kInitialChunkSize) {
  const auto chunk_stream = static_cast<std::uint8_t>(chunk_stream_of(type));
  std::uint8_t header[12] = {chunk_stream};
  std::uint8_t* p = store_be24(header + 1, timestamp_ms);
  p = store_be24(p, static_cast<std::uint32_t>(payload.size()));
  *p++ = static_cast<std::uint8_t>(type);
  store_le32(p, stream_id);
  append(out, header);
  for (std::size_t at = 0; at < payload.size(); at += chunk_size) {
    if (at > 0) out.push_back(0xc0 | chunk_stream);
    append(out, payload.subspan(at, std::min(chunk_size, payload.size() - at)));
  }
}

inline void write_control(ByteBuffer& out, rtmp::Type type, std::uint32_t value) {
  std::uint8_t payload[5];
  store_be32(payload, value);
  payload[4] = 2;  // the limit type "dynamic", which only SetPeerBandwidth has
  write_message(out, type, 0, 0, ByteView(payload, type == rtmp::Type::SetPeerBandwidth ? 5 : 4));
}

inline void write_event(ByteBuffer& out, rtmp::Event event, std::uint32_t value) {
  std::uint8_t payload[6];
  store_be32(store_be16(payload, static_cast<std::uint32_t>(event)), value);
  write_message(out, rtmp::Type::UserControl, 0, 0, payload);
}

// Builds one command: Command("play", 4).null().text("stream").bytes
struct Command {
  Command(std::string_view name, double transaction) { text(name).number(transaction); }

  Command& null() {
    bytes.push_back(5);
    return *this;
  }
  Command& number(double value) {
    bytes.push_back(0);
    bytes.resize(bytes.size() + 8);
    store_be64(&bytes[bytes.size() - 8], std::bit_cast<std::uint64_t>(value));
    return *this;
  }
  Command& text(std::string_view value) {
    bytes.push_back(2);
    return key(value);
  }
  Command& object(std::initializer_list<std::pair<std::string_view, std::string_view>> members) {
    bytes.push_back(3);
    for (const auto& [name, value] : members) key(name).text(value);
    append(bytes, ByteBuffer{0, 0, 9});
    return *this;
  }

  ByteBuffer bytes;

 private:
  Command& key(std::string_view value) {
    bytes.resize(bytes.size() + 2);
    store_be16(&bytes[bytes.size() - 2], static_cast<std::uint32_t>(value.size()));
    append(bytes, as_bytes(value));
    return *this;
  }
};

inline void write_command(ByteBuffer& out, std::uint32_t stream_id, const Command& command) {
  write_message(out, rtmp::Type::CommandAmf0, stream_id, 0, command.bytes);
}

// The leading texts and numbers of a command, as far as they go before the first object.
struct CommandView {
  explicit CommandView(ByteView payload) {
    while (!payload.empty()) {
      if (payload[0] == 0 && payload.size() >= 9) {
        numbers.push_back(std::bit_cast<double>(load_be64(&payload[1])));
        payload = payload.subspan(9);
      } else if (payload[0] == 2 && payload.size() >= 3 &&
                 payload.size() >= 3 + load_be16(&payload[1])) {
        texts.emplace_back(as_text(payload.subspan(3, load_be16(&payload[1]))));
        payload = payload.subspan(3 + texts.back().size());
      } else if (payload[0] == 5) {
        payload = payload.subspan(1);
      } else {
        break;
      }
    }
  }
  std::string name() const { return texts.empty() ? "" : texts[0]; }
  double transaction() const { return numbers.empty() ? 0 : numbers[0]; }

  std::vector<std::string> texts;
  std::vector<double> numbers;
};

class ChunkReader {
 public:
  // Calls on_message(const rtmp::Message&) for each message that is complete. False: not RTMP.
  template <class OnMessage>
  bool feed(ByteView input, OnMessage&& on_message) {
    append(pending_, input);
    ByteView rest = pending_;
    int outcome = 1;
    while ((outcome = take_chunk(rest, on_message)) > 0) {
    }
    pending_.erase(pending_.begin(), pending_.end() - static_cast<std::ptrdiff_t>(rest.size()));
    return outcome == 0;
  }

 private:
  struct ChunkStream {
    rtmp::MessageHeader header;
    std::uint32_t delta = 0;
    bool extended = false;
    ByteBuffer payload;
  };

  // 1: took one, 0: needs more bytes, -1: bad. Looks at nothing until the whole chunk is there.
  template <class OnMessage>
  int take_chunk(ByteView& rest, OnMessage& on_message) {
    if (rest.empty()) return 0;
    const int format = rest[0] >> 6;
    const std::uint32_t low = rest[0] & 63;
    const std::size_t basic = low == 0 ? 2 : low == 1 ? 3 : 1;
    if (rest.size() < basic) return 0;
    const std::uint32_t id = low == 0   ? rest[1] + 64U
                             : low == 1 ? rest[1] + 64U + rest[2] * 256U
                                        : low;
    static constexpr std::size_t kHeaderSizes[] = {11, 7, 3, 0};
    std::size_t size = basic + kHeaderSizes[format];
    if (rest.size() < size) return 0;
    const std::uint8_t* p = &rest[0] + basic;
    ChunkStream& stream = streams_[id];
    rtmp::MessageHeader header = stream.header;
    std::uint32_t time = format < 3 ? load_be24(p) : stream.delta;
    const bool extended = format < 3 ? time == 0xffffff : stream.extended;
    if (format < 2) {
      header.length = load_be24(p + 3);
      header.type = static_cast<rtmp::Type>(p[6]);
    }
    if (format == 0) header.stream_id = load_le32(p + 7);
    if (extended) {
      if (rest.size() < size + 4) return 0;
      if (format < 3) time = load_be32(&rest[size]);
      size += 4;
    }
    const std::size_t have = stream.payload.size();
    if (have > header.length) return -1;
    const std::size_t part = std::min<std::size_t>(chunk_size_, header.length - have);
    if (rest.size() < size + part) return 0;

    if (have == 0) {
      header.chunk_stream = id;
      header.timestamp_ms = format == 0 ? time : header.timestamp_ms + time;
      stream.delta = time;
      stream.extended = extended;
      stream.header = header;
    }
    append(stream.payload, rest.subspan(size, part));
    rest = rest.subspan(size + part);
    if (stream.payload.size() < header.length) return 1;
    if (header.type == rtmp::Type::SetChunkSize && header.length >= 4) {
      chunk_size_ = load_be32(&stream.payload[0]);
      if (chunk_size_ == 0) return -1;
    }
    const ByteBuffer payload = std::exchange(stream.payload, {});
    on_message(rtmp::Message{header, payload});
    return 1;
  }

  ByteBuffer pending_;
  std::map<std::uint32_t, ChunkStream> streams_;
  std::size_t chunk_size_ = rtmp::kInitialChunkSize;
};

}  // namespace weir::bench
