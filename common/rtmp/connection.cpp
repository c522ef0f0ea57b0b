#include "common/rtmp/connection.h"

#include "common/wire/rtmp_handshake.h"

namespace weir::rtmp {

Connection::Connection(std::unique_ptr<Socket> socket, const ReaderLimits& limits)
    : socket_(std::move(socket)), reader_(limits) {}

Task<Result<void>> Connection::receive(Deadline deadline) {
  if (buffer_.size() != buffer_size_) buffer_ = ByteBuffer(buffer_size_);
  auto got = co_await socket_->read(buffer_, deadline);
  if (!got) co_return std::unexpected(got.error());
  received_ += *got;
  input_ = ByteView(buffer_).first(*got);
  co_return Result<void>{};
}

template <class Handshake>
Task<Result<void>> Connection::shake_hands(Deadline deadline) {
  auto handshake = std::make_unique<Handshake>();
  while (true) {
    auto fed = handshake->feed(input_);
    if (!fed) co_return fed;
    if (!handshake->output().empty()) {
      ByteBuffer answer = std::exchange(handshake->output(), {});
      auto sent = co_await socket_->write(answer, deadline);
      if (!sent) co_return sent;
    }
    if (handshake->done()) co_return Result<void>{};
    auto more = co_await receive(deadline);
    if (!more) co_return more;
  }
}

Task<Result<void>> Connection::accept(Deadline deadline) {
  return shake_hands<ServerHandshake>(deadline);
}

Task<Result<void>> Connection::greet(Deadline deadline) {
  return shake_hands<ClientHandshake>(deadline);
}

// A message that has come already, or nothing.
Result<std::optional<Message>> Connection::next() {
  auto message = reader_.next(input_);
  if (message && *message) obey(**message);
  if (message && !*message) acknowledge();
  return message;
}

Task<Result<Message>> Connection::read(Deadline deadline) {
  while (true) {
    auto message = next();
    if (!message) co_return std::unexpected(message.error());
    if (*message) co_return **message;
    auto sent = co_await flush(deadline);
    if (!sent) co_return std::unexpected(sent.error());
    auto more = co_await receive(deadline);
    if (!more) co_return std::unexpected(more.error());
  }
}

Task<Result<Message>> Connection::read_beside_writer(Deadline deadline) {
  while (true) {
    auto message = next();
    if (!message) co_return std::unexpected(message.error());
    if (*message) co_return **message;
    auto more = co_await receive(deadline);
    if (!more) co_return std::unexpected(more.error());
  }
}

void Connection::expect_media(std::uint32_t message_limit) {
  reader_.set_message_limit(message_limit);
  buffer_size_ = kMediaBuffer;
}

void Connection::release_buffer() {
  input_ = {};
  buffer_ = ByteBuffer();
}

void Connection::obey(const Message& message) {
  const ByteView payload = message.payload;
  if (message.header.type == Type::WindowAckSize && payload.size() >= 4) {
    peer_window_ = load_be32(payload.data());
  } else if (message.header.type == Type::UserControl && payload.size() >= 6 &&
             load_be16(payload.data()) == static_cast<std::uint32_t>(Event::PingRequest)) {
    append_user_control(out_, Event::PingResponse, load_be32(payload.data() + 2));
  }
}

void Connection::acknowledge() {
  // RTMP 5.4.3: at the latest when a window has come since the last one.
  if (peer_window_ == 0 || received_ - acknowledged_ < peer_window_ / 2) return;
  acknowledged_ = received_;
  append_acknowledgement(out_, static_cast<std::uint32_t>(received_));
}

void Connection::send(const MessageHeader& header, ByteView payload) {
  writer_.append(out_, header, payload);
}

void Connection::command(std::uint32_t stream_id, std::initializer_list<amf0::Value> values) {
  send({.chunk_stream = kCommandChunkStream, .stream_id = stream_id, .type = Type::CommandAmf0},
       amf0::encode_all(values));
}

void Connection::set_chunk_size(std::uint32_t bytes) {
  if (bytes != writer_.chunk_size()) writer_.set_chunk_size(out_, bytes);
}

Task<Result<void>> Connection::flush(Deadline deadline) {
  if (out_.empty()) co_return Result<void>{};
  // What is collected while this waits goes with the next flush.
  const ByteBuffer sending = std::exchange(out_, {});
  auto sent = co_await socket_->write(sending, deadline);
  co_return sent;
}

}  // namespace weir::rtmp
