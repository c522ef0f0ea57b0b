// common/rtmp/connection.h
// An RTMP conversation over one socket, in either direction: handshake, messages in, messages out.
//
// Protocol control is dealt with here and still returned, so that a relay may pass it on:
// acknowledgements are sent when due, pings answered, chunk sizes followed. What is sent collects
// in a buffer until flush(), so an answer of several messages is one write.
//
// Threading: the socket's loop. Bounds: ReaderLimits; one receive buffer, of kSetupBuffer until
// media is expected; what the caller collects before flush().
#pragma once

#include <initializer_list>
#include <memory>

#include "common/io/socket.h"
#include "common/wire/amf0.h"
#include "common/wire/rtmp_chunk_reader.h"
#include "common/wire/rtmp_chunk_writer.h"

namespace weir::rtmp {

class Connection {
 public:
  static constexpr std::size_t kSetupBuffer = 4 * 1024;
  static constexpr std::size_t kMediaBuffer = 64 * 1024;

  explicit Connection(std::unique_ptr<Socket> socket, const ReaderLimits& limits = {});

  // The handshake (RTMP 5.2) as server and as client, plain or digest. Errors: Protocol and the
  // socket's.
  Task<Result<void>> accept(Deadline deadline);
  Task<Result<void>> greet(Deadline deadline);

  // The next message; its payload holds until the next read. Errors: the chunk reader's and the
  // socket's.
  Task<Result<Message>> read(Deadline deadline);
  // The same beside another coroutine that writes: what is to be answered stays in out() for that
  // one's flush.
  Task<Result<Message>> read_beside_writer(Deadline deadline);

  // Collects what flush() sends.
  void send(const MessageHeader& header, ByteView payload);
  void command(std::uint32_t stream_id, std::initializer_list<amf0::Value> values);
  void control(void (*append)(ByteBuffer&, std::uint32_t), std::uint32_t value) {
    append(out_, value);
  }
  void user_control(Event event, std::uint32_t value) { append_user_control(out_, event, value); }
  // Tells the peer, unless it is so already.
  void set_chunk_size(std::uint32_t bytes);
  ByteBuffer& out() { return out_; }
  Task<Result<void>> flush(Deadline deadline);

  Socket& socket() { return *socket_; }
  Loop& loop() const { return socket_->loop(); }
  ChunkReader& reader() { return reader_; }
  std::uint32_t out_chunk_size() const { return writer_.chunk_size(); }
  std::uint64_t received() const { return received_; }

  // From here on it is media that comes: larger messages, and more at a time.
  void expect_media(std::uint32_t message_limit);
  // What has come and is not read yet: where a relay or a viewer takes over.
  ByteView unread() const { return input_; }
  // Gives the receive buffer back. unread() is empty afterwards.
  void release_buffer();
  // Ends this conversation without closing the socket.
  std::unique_ptr<Socket> take_socket() { return std::move(socket_); }

 private:
  template <class Handshake>
  Task<Result<void>> shake_hands(Deadline deadline);
  Task<Result<void>> receive(Deadline deadline);
  Result<std::optional<Message>> next();
  void obey(const Message& message);
  void acknowledge();

  std::unique_ptr<Socket> socket_;
  ChunkReader reader_;
  ChunkWriter writer_;
  std::size_t buffer_size_ = kSetupBuffer;
  ByteBuffer buffer_;
  ByteView input_;  // the unread part of buffer_
  ByteBuffer out_;
  std::uint64_t received_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint32_t peer_window_ = 0;  // 0: it has not asked for acknowledgements
};

}  // namespace weir::rtmp
