// common/rtsp/connection.h
// One RTSP connection while only messages are expected on it: before any media is set up.
//
//     rtsp::Connection client(std::move(socket));
//     auto request = co_await client.read(loop.in(10s), 10s);
//     auto sent = co_await client.write(rtsp::answer_to(*request, 200), loop.in(10s));
//
// Threading: the socket's loop; one coroutine reads and one writes at a time. Bounds: kReceive
// bytes, and the reader's limits.
#pragma once

#include <memory>

#include "common/io/socket.h"
#include "common/wire/rtsp.h"

namespace weir::rtsp {

class Connection {
 public:
  static constexpr std::size_t kReceive = 16 * 1024;

  explicit Connection(std::unique_ptr<Socket> socket, const Limits& limits = {})
      : socket_(std::move(socket)), reader_(limits) {}

  Socket& socket() { return *socket_; }

  // The next message, which has to begin until `begin` and then to be whole within `whole`.
  // Refusals: the reader's; 400 for a frame; 408 when it is not whole in time; status 0 when
  // nothing of it came, or the peer is gone, so that there is nothing to answer.
  Task<Parsed<Message>> read(Deadline begin, milliseconds whole);
  // Errors: Socket::write.
  Task<Result<void>> write(Message message, Deadline deadline);

  // For who goes on with the socket: where this has stopped.
  const Reader& reader() const { return reader_; }
  ByteView unread() const { return unread_; }

 private:
  std::unique_ptr<Socket> socket_;
  Reader reader_;
  ByteBuffer buffer_;
  ByteView unread_;  // of buffer_
};

}  // namespace weir::rtsp
