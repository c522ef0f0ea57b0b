// common/wire/rtmp_chunk_walker.cpp
#include "common/wire/rtmp_chunk_walker.h"

#include <utility>

#include "common/check.h"

namespace weir::rtmp {

void Pieces::clear() {
  pieces_.clear();
  copies_.clear();
}

void Pieces::add(ByteView bytes) {
  if (bytes.empty()) return;
  if (!pieces_.empty()) {
    Piece& last = pieces_.back();
    if (last.data && last.data + last.size == bytes.data()) {
      last.size += bytes.size();
      return;
    }
  }
  pieces_.push_back({bytes.data(), 0, bytes.size()});
}

void Pieces::add_copy(ByteView bytes) {
  if (bytes.empty()) return;
  if (!pieces_.empty() && !pieces_.back().data) {
    pieces_.back().size += bytes.size();
  } else {
    pieces_.push_back({nullptr, copies_.size(), bytes.size()});
  }
  append(copies_, bytes);
}

ChunkWalker::ChunkWalker(const ChunkReader& reader, WalkerOptions options)
    : streams_(reader.streams()),
      syncs_(streams_.size(), Sync::None),
      options_(std::move(options)) {
  INVARIANT(reader.at_boundary());
}

ChunkWalker::ChunkWalker(const ReaderLimits& limits, std::uint32_t chunk_size,
                         WalkerOptions options)
    : streams_(limits, chunk_size), options_(std::move(options)) {}

Result<void> ChunkWalker::walk(std::span<std::uint8_t> input, Pieces& out) {
  out.clear();
  while (!held_.empty() || !input.empty()) {
    if (chunk_left_ == 0) {
      const std::span<std::uint8_t> seen = held_.window(input, true);
      Result<std::optional<ChunkHead>> head = streams_.read(seen);
      if (!head) return std::unexpected(std::move(head.error()));
      if (!*head) {
        held_.hold(input);
        return {};
      }
      current_ = (*head)->stream;
      chunk_left_ = (*head)->payload;
      if (syncs_.size() <= current_) syncs_.resize(current_ + 1, Sync::None);
      send_header(**head, seen.first((*head)->size), out);
      held_.consume(input, (*head)->size);
      if ((*head)->starts_message) observe_start();
    }
    const std::span<std::uint8_t> seen = held_.window(input, false);
    const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(seen.size(), chunk_left_));
    send(seen.first(count), out);
    observe(seen.first(count));
    held_.consume(input, count);
    chunk_left_ -= count;
    if (!streams_.advance(current_, count)) continue;
    if (Result<void> finished = finish(); !finished) return finished;
  }
  return {};
}

void ChunkWalker::send_header(const ChunkHead& head, std::span<std::uint8_t> bytes, Pieces& out) {
  const ChunkStream& stream = streams_[current_];
  Sync& sync = syncs_[current_];
  std::array<std::uint8_t, kMaxChunkHeader> rewritten;
  std::uint8_t* end = rewritten.data();
  const std::uint32_t absolute = stream.header.timestamp_ms;
  const bool absolute_extended = absolute >= kExtendedTimestamp;

  if (head.starts_message && head.format == 0) {
    if (stream.header.stream_id == options_.stream_id_from) {
      store_le32(bytes.data() + head.basic_size + 7, options_.stream_id_to);
    }
    sync = Sync::Full;
  } else if (head.starts_message && sync == Sync::None) {
    MessageHeader header = stream.header;
    if (header.stream_id == options_.stream_id_from) header.stream_id = options_.stream_id_to;
    end = store_chunk_header(end, 0, header, absolute, absolute_extended);
    sync = Sync::NotDelta;
  } else if (head.starts_message && sync == Sync::NotDelta) {
    // Extended as B has it, even where the value would not need it: the type 3 chunks to come rely
    // on that.
    if (head.format == 3) {
      end = store_chunk_header(end, 2, stream.header, stream.timestamp_field, stream.extended);
    }
    sync = Sync::Full;
  } else if (sync == Sync::NotDelta && (head.carries_extended || absolute_extended)) {
    // The message began with our type 0 header: RTMP 5.3.1.3 asks for its timestamp, or none.
    end = store_chunk_header(end, 3, stream.header, absolute, absolute_extended);
  }

  if (end == rewritten.data()) {
    send(bytes, out);
  } else {
    out.add_copy({rewritten.data(), end});
  }
}

void ChunkWalker::send(ByteView bytes, Pieces& out) {
  if (held_.empty()) {
    out.add(bytes);
  } else {
    out.add_copy(bytes);
  }
}

void ChunkWalker::observe_start() {
  if (command_stream_ && !streams_[*command_stream_].open) command_stream_.reset();  // aborted
  const MessageHeader& header = streams_[current_].header;
  const bool command = header.type == Type::CommandAmf0 || header.type == Type::CommandAmf3;
  if (command_stream_ == current_) command_stream_.reset();
  if (!command || command_stream_ || !options_.on_command) return;
  if (header.length > kObservedCommand) return;
  command_stream_ = current_;
  command_.clear();
}

void ChunkWalker::observe(ByteView bytes) {
  const ChunkStream& stream = streams_[current_];
  if (command_stream_ == current_) append(command_, bytes);
  if (stream.header.type == Type::SetChunkSize || stream.header.type == Type::Abort) {
    std::copy(bytes.begin(), bytes.end(), control_.begin() + stream.received);
  }
}

Result<void> ChunkWalker::finish() {
  const MessageHeader& header = streams_[current_].header;
  switch (header.type) {
    case Type::Audio:
      ++counters_.audio;
      counters_.last_audio_ms = header.timestamp_ms;
      break;
    case Type::Video:
      ++counters_.video;
      counters_.last_video_ms = header.timestamp_ms;
      break;
    case Type::DataAmf0:
    case Type::DataAmf3: ++counters_.data; break;
    case Type::CommandAmf0:
    case Type::CommandAmf3: ++counters_.commands; break;
    case Type::SetChunkSize:
    case Type::Abort:
    case Type::Acknowledgement:
    case Type::UserControl:
    case Type::WindowAckSize:
    case Type::SetPeerBandwidth: ++counters_.control; break;
    default: ++counters_.other;
  }
  if (command_stream_ == current_) {
    options_.on_command({header, command_});
    command_stream_.reset();
    command_ = ByteBuffer();
  }
  return streams_.apply({header, control_});
}

void ChunkWalker::unsync(std::uint32_t chunk_stream) {
  INVARIANT(at_boundary());
  const std::size_t stream = streams_.find(chunk_stream);
  if (stream < syncs_.size()) syncs_[stream] = Sync::None;
}

}  // namespace weir::rtmp
