// common/io/socket.h
// A connected TCP socket whose reads and writes are awaited.
//
//     auto got = co_await socket->read(buffer, loop.in(10s));
//     if (!got) co_return got.error();
//
// At most one coroutine reads and one writes at a time. close() ends both waits with
// Errc::Cancelled. What can be done at once is done without suspending. Relays use the try_ forms
// between waits, so that nothing is allocated per packet.
//
// What it carries may be wrapped (common/io/transport.h): TLS, for those who ask for it. Everybody
// above reads and writes as before. A wrapped socket that is closed while its transport still holds
// bytes sends them first, for kFarewell at most, as the kernel does for a plain one.
//
// Threading: one loop's, and it stays there. Bounds: no buffers of its own.
#pragma once

#include <functional>
#include <memory>

#include "common/bytes.h"
#include "common/check.h"
#include "common/io/address.h"
#include "common/io/transport.h"
#include "common/io/wait.h"

namespace weir {

class Socket final : private Watcher {
 public:
  // Takes over a connected, non-blocking descriptor.
  Socket(Loop& loop, int fd, const Address& peer);
  // Over a transport that watches and closes for itself; `fd` is for asking the kernel about the
  // connection alone.
  Socket(Loop& loop, int fd, const Address& peer, std::unique_ptr<Transport> transport);
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // Errors: Refused, Timeout, System, Cancelled.
  static Task<Result<std::unique_ptr<Socket>>> connect(Loop& loop, Address to, Deadline deadline);

  Loop& loop() const { return loop_; }
  int fd() const { return fd_; }
  const Address& peer() const { return peer_; }
  // Who is behind a connection that somebody made for them.
  void set_peer(const Address& peer) { peer_ = peer; }
  bool is_open() const { return fd_ >= 0; }

  // Bytes received, at least one. Errors: Closed at the peer's end of stream, Reset, Timeout,
  // Cancelled.
  Task<Result<std::size_t>> read(std::span<std::uint8_t> into, Deadline deadline);
  // What has come, without taking it: waits until it is more than `seen` bytes. Errors as above;
  // Limit when `into` is full of them.
  Task<Result<std::size_t>> peek(std::span<std::uint8_t> into, std::size_t seen, Deadline deadline);
  // All of `bytes`, which must live until then. Errors: Reset, Timeout (some may have been sent),
  // Cancelled.
  Task<Result<void>> write(ByteView bytes, Deadline deadline);

  // co_await readable(deadline): Result<void>. Waits until the try_ form may succeed; after one that
  // gave 0. No coroutine of its own: relays await one for each packet.
  struct Readiness {
    const bool& ready;
    Wait::Awaiter wait;
    bool await_ready() const { return ready || wait.await_ready(); }
    void await_suspend(std::coroutine_handle<> waiter) const {
      INVARIANT(!wait.wait.waiting());
      wait.await_suspend(waiter);
    }
    Result<void> await_resume() const { return ready ? Result<void>{} : wait.await_resume(); }
  };
  Readiness readable(Deadline deadline) { return {readable_, read_wait_.until(deadline)}; }
  Readiness writable(Deadline deadline) { return {writable_, write_wait_.until(deadline)}; }
  // 0 means: nothing now, wait. Errors as above.
  Result<std::size_t> try_read(std::span<std::uint8_t> into);
  Result<std::size_t> try_write(std::span<const iovec> pieces);
  // A stretch of a regular file, by sendfile(2). Closed when the file has ended before it.
  Result<std::size_t> try_send_file(int file, std::uint64_t offset, std::size_t most);

  // Calls back when the peer ends or breaks the connection, read from or not, while the returned
  // guard lives. For who is busy with another peer on this one's behalf. One guard at a time.
  class [[nodiscard]] Watch {
   public:
    explicit Watch(Socket& socket) : socket_(socket) {}
    ~Watch() { socket_.gone_ = nullptr; }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    Socket& socket_;
  };
  Watch when_gone(std::function<void()> call);

  // Sends what was written, then FIN. Reading goes on.
  void shut_down_writes();
  // Lets the descriptor go, off the loop; the socket is closed then. For a viewer that becomes a
  // cursor.
  struct Released {
    int fd;
    std::unique_ptr<Transport> transport;  // null: plain
  };
  Released release();
  void close();

  // From here on everything passes through `transport`, which watches the same descriptor.
  // REQUIRES: plain so far, and nobody waits.
  void wrap(std::unique_ptr<Transport> transport);
  bool is_wrapped() const { return transport_ != nullptr; }
  // The transport may have something by now, whatever it said last.
  void try_again() { readable_ = writable_ = true; }

  static constexpr milliseconds kFarewell{10'000};

 private:
  static Task<void> farewell(std::unique_ptr<Socket> socket);
  void watch();
  void unwatch();
  void on_ready(std::uint32_t events) override;

  Loop& loop_;
  int fd_;
  Address peer_;
  std::unique_ptr<Transport> transport_;  // null: plain
  bool readable_ = true;                  // until the kernel says otherwise
  bool writable_ = true;
  bool hung_up_ = false;  // the peer's end has come: read on until it is seen
  std::function<void()> gone_;
  Wait read_wait_;
  Wait write_wait_;
};

// TCP_NODELAY, keepalive, and TCP_USER_TIMEOUT, so that a vanished peer is noticed.
void set_tcp_options(int fd);

}  // namespace weir
