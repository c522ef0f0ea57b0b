// common/http/connection.h
// One HTTP/1.1 connection: heads and bodies in the bytes of a socket. What ServerConnection and
// ClientConnection have in common.
//
// Nothing is held while it waits for bytes: the receive buffer comes with them and goes when they
// are used.
//
// Threading: the socket's loop; one coroutine reads at a time. Destroying a connection closes its
// socket, and is allowed while it is watched, not while somebody awaits one of its functions.
// Bounds: kReceiveBuffer, and the head reader's limits.
#pragma once

#include <memory>
#include <string>

#include "common/http/body.h"
#include "common/wire/http1_head.h"

namespace weir::http {

class Connection {
 public:
  static constexpr std::size_t kReceiveBuffer = 16 * 1024;

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Socket& socket() { return *socket_; }
  const Socket& socket() const { return *socket_; }
  Loop& loop() const { return socket_->loop(); }

  // All of it. Errors: Socket::write.
  Task<Result<void>> write(std::string bytes, Deadline deadline);

  // The next piece of the present message's content, unchunked; it holds until the next call.
  // Errors: Closed at the body's end, Reset when the connection ends before that, Protocol, and the
  // socket's.
  Task<Result<ByteView>> read_body(Deadline deadline);
  // The rest of it. Errors: as read_body(), but for Closed; Limit when it is longer than `most` bytes.
  Task<Result<std::string>> read_all(std::size_t most, Deadline deadline);
  // Passes the rest of the body on as it comes, framing included, behind `head`. `options.extent`
  // is set here.
  Task<PumpEnd> pump_body(Socket& to, PumpOptions options, std::string head = {});
  // The same without the chunks that it may come in.
  Task<PumpEnd> pump_content(Socket& to, PumpOptions options, std::string head = {});
  const Body& body() const { return body_; }

  // Notices that the peer leaves while nobody reads from it: then closes `other` (null: nobody).
  // Holds until the next bytes of the peer, which the next read gives; a peer that has sent more
  // already is not watched.
  void close_when_gone(Socket* other);
  // The peer has ended or broken the connection.
  bool gone() const { return gone_; }

  // What has come and is not used yet: the beginning of what take_socket()'s owner will receive.
  ByteView unread() const { return unread_; }
  // Ends this conversation without closing the socket. REQUIRES: not watched.
  std::unique_ptr<Socket> take_socket();

 protected:
  explicit Connection(std::unique_ptr<Socket> socket) : socket_(std::move(socket)) {}
  ~Connection();

  // More to unread(). REQUIRES: unread() is empty.
  Task<Result<void>> receive(Deadline deadline);
  // Status 0 in a refusal: the peer is gone or silent, and was refused nothing.
  template <class Message>
  Task<Parsed<Message>> read_head(HeadReader<Message>& reader, Deadline deadline);
  void begin_body(BodyFraming framing) { body_ = Body(framing); }
  void drop_unread() { unread_ = {}; }

 private:
  struct Watch;
  Result<bool> receive_now();
  static Task<void> watch(std::shared_ptr<Watch> watch);

  std::unique_ptr<Socket> socket_;
  ByteBuffer buffer_;
  ByteView unread_;  // of buffer_
  Body body_;
  bool gone_ = false;
  std::shared_ptr<Watch> watch_;  // not null while a coroutine waits for the peer
};

}  // namespace weir::http
