// test/common/wire/rtmp_chunk_peer.h
// What the chunk tests and fuzz targets share: messages that outlive their reader, ways to read and
// to walk bytes in pieces, and a peer that speaks every header form.
#pragma once

#include <algorithm>
#include <map>
#include <random>
#include <string>

#include "common/wire/rtmp_chunk_walker.h"
#include "common/wire/rtmp_chunk_writer.h"

namespace weir::rtmp::test {

struct Got {
  MessageHeader header;
  ByteBuffer payload;
  friend bool operator==(const Got&, const Got&) = default;
};

struct ReadOutcome {
  std::vector<Got> messages;
  std::optional<Errc> error;
};

// How long the next piece is, given what is left.
template <class Reader, class NextSize>
void read_pieces(Reader& reader, ByteView bytes, NextSize next_size, ReadOutcome& outcome) {
  while (!bytes.empty() && !outcome.error) {
    const std::size_t size = std::clamp<std::size_t>(next_size(), 1, bytes.size());
    const ByteBuffer piece(bytes.begin(), bytes.begin() + size);  // so that ASan sees overreads
    ByteView input = piece;
    bytes = bytes.subspan(size);
    for (;;) {
      auto message = reader.next(input);
      if (!message) outcome.error = message.error().code;
      if (!message || !*message) break;
      const ByteView payload = (*message)->payload;
      outcome.messages.push_back({(*message)->header, {payload.begin(), payload.end()}});
    }
  }
}

inline ReadOutcome read_all(ChunkReader& reader, ByteView bytes, std::size_t piece = SIZE_MAX) {
  ReadOutcome outcome;
  read_pieces(reader, bytes, [piece] { return piece; }, outcome);
  return outcome;
}

// Appends what `walker` sends for `bytes`.
template <class NextSize>
std::optional<Errc> walk_pieces(ChunkWalker& walker, ByteView bytes, NextSize next_size,
                                ByteBuffer& sent) {
  Pieces pieces;
  while (!bytes.empty()) {
    const std::size_t size = std::clamp<std::size_t>(next_size(), 1, bytes.size());
    ByteBuffer input(bytes.begin(), bytes.begin() + size);
    bytes = bytes.subspan(size);
    const Result<void> walked = walker.walk(input, pieces);
    for (std::size_t i = 0; i < pieces.size(); ++i) append(sent, pieces[i]);
    if (!walked) return walked.error().code;
  }
  return std::nullopt;
}

// Chunks written by hand: csid, type and so on are as told, consistent or not.
struct Bytes {
  ByteBuffer out;
  Bytes& basic(unsigned format, std::uint32_t csid) {
    std::array<std::uint8_t, 3> room{};
    MessageHeader header;
    header.chunk_stream = csid;
    const auto* end = store_chunk_header(room.data(), 3, header, 0, false);
    room[0] = static_cast<std::uint8_t>((room[0] & 0x3F) | format << 6);
    append(out, {room.data(), end});
    return *this;
  }
  Bytes& be24(std::uint32_t value) {
    out.resize(out.size() + 3);
    store_be24(out.data() + out.size() - 3, value);
    return *this;
  }
  Bytes& be32(std::uint32_t value) {
    out.resize(out.size() + 4);
    store_be32(out.data() + out.size() - 4, value);
    return *this;
  }
  Bytes& le32(std::uint32_t value) {
    out.resize(out.size() + 4);
    store_le32(out.data() + out.size() - 4, value);
    return *this;
  }
  Bytes& type(Type value) {
    out.push_back(static_cast<std::uint8_t>(value));
    return *this;
  }
  Bytes& text(std::string_view value) {
    append(out, as_bytes(value));
    return *this;
  }
};

// A sender that uses the shortest header it can, or by chance a longer one; interleaves its chunk
// streams; and repeats extended timestamps or not.
class Peer {
 public:
  explicit Peer(unsigned seed) : random_(seed), repeats_extended_(below(2) == 0) {}

  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }

  // Begins a message or goes on with one, or drops one, or changes the chunk size.
  void step() {
    if (below(40) == 0) {
      chunk_size_ = 128 + below(400);
      control(Type::SetChunkSize, chunk_size_);
      return;
    }
    Channel& channel = channels_[below(kChannels)];
    if (channel.rest.empty()) {
      begin(channel);
    } else if (below(30) == 0) {
      control(Type::Abort, channel.header.chunk_stream);
      channel.rest.clear();
    } else {
      chunk(channel, 3);
    }
  }
  void finish_messages() {
    for (Channel& channel : channels_) {
      while (!channel.rest.empty()) chunk(channel, 3);
    }
  }

  ByteBuffer out;
  std::vector<Got> sent;

 private:
  static constexpr unsigned kChannels = 6;
  struct Channel {
    MessageHeader header;
    std::uint32_t field = 0;
    bool known = false;
    bool extended = false;
    ByteBuffer payload;
    ByteBuffer rest;
  };

  static std::vector<Channel> make_channels() {
    std::vector<Channel> channels(kChannels);
    for (unsigned i = 0; i < kChannels; ++i) {
      channels[i].header.chunk_stream = std::array{2u, 3u, 63u, 64u, 319u, 65599u}[i];
    }
    return channels;
  }

  void control(Type type, std::uint32_t value) {
    Channel& channel = channels_[0];  // csid 2 must be free
    while (!channel.rest.empty()) chunk(channel, 3);
    channel.payload.resize(4);
    store_be32(channel.payload.data(), value);
    start(channel, type, 0, 0);
  }

  void begin(Channel& channel) {
    channel.payload.resize(below(4) == 0 ? channel.header.length % 700 : below(700));
    for (std::uint8_t& byte : channel.payload) byte = static_cast<std::uint8_t>(random_());
    const Type type = below(3) ? Type::Video : std::array{Type::Audio, Type::CommandAmf0}[below(2)];
    std::uint32_t delta = below(3) ? 40 : below(100);
    if (below(8) == 0) delta = 0xFFFFF0 + below(0x20);
    if (below(20) == 0) delta = 0xFFFF0000u + below(0x20000);
    start(channel, type, delta, below(5) ? 1 : below(3));
  }

  void start(Channel& channel, Type type, std::uint32_t delta, std::uint32_t stream_id) {
    MessageHeader next = channel.header;
    const bool absolute = !channel.known || stream_id != next.stream_id || below(6) == 0;
    if (below(3) == 0) delta = channel.field;  // so that type 3 gets its turn
    next.timestamp_ms += delta;
    next.length = static_cast<std::uint32_t>(channel.payload.size());
    next.stream_id = stream_id;
    next.type = type;
    unsigned format = 0;
    if (!absolute) {
      format = next.length == channel.header.length && type == channel.header.type ? 2 : 1;
      if (format == 2 && delta == channel.field && below(8)) format = 3;
    }
    if (format != 3) {
      channel.field = format == 0 ? next.timestamp_ms : delta;
      channel.extended = channel.field >= kExtendedTimestamp;
    }
    channel.header = next;
    channel.known = true;
    channel.rest = channel.payload;
    sent_by_.insert_or_assign(next.chunk_stream, Got{next, channel.payload});
    chunk(channel, format);
  }

  void chunk(Channel& channel, unsigned format) {
    std::array<std::uint8_t, kMaxChunkHeader> room;
    const bool extended = channel.extended && (format != 3 || repeats_extended_);
    const auto* end =
        store_chunk_header(room.data(), format, channel.header, channel.field, extended);
    append(out, {room.data(), end});
    const std::size_t size = std::min<std::size_t>(channel.rest.size(), size_now());
    append(out, ByteView(channel.rest).first(size));
    channel.rest.erase(channel.rest.begin(), channel.rest.begin() + size);
    if (!channel.rest.empty()) return;
    sent.push_back(sent_by_.at(channel.header.chunk_stream));
    if (channel.header.type == Type::SetChunkSize) size_in_force_ = chunk_size_;
  }
  std::size_t size_now() const { return size_in_force_; }

  std::mt19937 random_;
  bool repeats_extended_;
  std::uint32_t chunk_size_ = kInitialChunkSize;
  std::uint32_t size_in_force_ = kInitialChunkSize;
  std::vector<Channel> channels_ = make_channels();
  std::map<std::uint32_t, Got> sent_by_;
};

// The walker's promise: who reads what it sends gets what a reader of B's own bytes gets. Reads
// `set_up` messages with a ChunkReader, then up to the next boundary; walks the rest; compares.
// Empty: it holds.
template <class NextSize>
std::string relay_difference(ByteView bytes, std::size_t set_up, const ReaderLimits& limits,
                             const WalkerOptions& options, NextSize next_size) {
  ChunkReader kept(limits);
  ByteView rest = bytes;
  while (set_up > 0 || !kept.at_boundary()) {
    // One byte at a time, so that a boundary is where the reader stands.
    if (rest.empty()) return "";
    ByteView one = rest.first(1);
    rest = rest.subspan(1);
    for (;;) {
      auto message = kept.next(one);
      if (!message) return "";
      if (!*message) break;
      if (set_up > 0) --set_up;
    }
  }
  ChunkWalker walker(kept, options);

  // A has a past of its own on chunk streams that B uses too.
  ReaderLimits roomy = limits;
  roomy.chunk_streams += 4;
  ChunkReader reader_a(roomy);
  ByteBuffer to_a;
  ChunkWriter writer;
  if (walker.chunk_size() != writer.chunk_size()) writer.set_chunk_size(to_a, walker.chunk_size());
  for (std::uint32_t csid : {2u, 3u, 64u}) {
    writer.append(to_a, {csid, 0xFFFFFFF0 + csid, 0, 77, Type::Audio}, as_bytes("own"));
  }
  read_all(reader_a, to_a);

  ReadOutcome expected;
  read_pieces(kept, rest, [] { return SIZE_MAX; }, expected);
  for (Got& message : expected.messages) {
    if (message.header.stream_id == options.stream_id_from) {
      message.header.stream_id = options.stream_id_to;
    }
  }
  ByteBuffer sent;
  const std::optional<Errc> walked = walk_pieces(walker, rest, next_size, sent);
  ReadOutcome seen;
  read_pieces(reader_a, sent, next_size, seen);
  if (walked != expected.error) return "walker and reader disagree on the error";
  if (!walked && seen.error) return "A cannot read what the walker sent";
  if (!walked && walker.at_boundary() != kept.at_boundary()) return "boundaries differ";
  if (!walked && walker.chunk_size() != kept.chunk_size()) return "chunk sizes differ";
  // A may still wait to see whether a type 3 header repeats its extended timestamp: the bytes that
  // told B's reader it does not are the header that the walker holds back, or refused.
  // A waits on one such header and at most three bytes, each of which may be an empty message's
  // header.
  const bool withheld = walked || !walker.at_boundary();
  const bool waits = withheld && !seen.error && !reader_a.at_boundary();
  const std::size_t missing = expected.messages.size() - seen.messages.size();
  if (missing != 0 && !(waits && missing <= 4)) return "numbers of messages differ";
  for (std::size_t i = 0; i < seen.messages.size(); ++i) {
    if (seen.messages[i].header != expected.messages[i].header) return "headers differ";
    if (seen.messages[i].payload != expected.messages[i].payload) return "payloads differ";
  }
  return "";
}

}  // namespace weir::rtmp::test
