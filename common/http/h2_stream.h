// common/http/h2_stream.h
// One stream of HTTP/2, as the connection of HTTP/1.1 that its server takes it for: one request, one
// response, and the end.
//
//     client ─► head, DATA ──► received_ ──► Socket ─► server
//     client ◄─ HEADERS, DATA ◄── to_send_ ◄── Socket ◄─ server
//
// The stream belongs to its session, and ends with it or when both sides have said all; the
// Transport below the server's Socket outlives it if need be, and tells of a broken connection then.
//
// Threading: the session's loop. Bounds: what the client's windows let come (kReceiveWindow), and
// kSendBuffer of what the server has written.
#pragma once

#include <cstdint>
#include <string>

#include "common/bytes.h"
#include "common/http/body.h"
#include "common/http/h2_head.h"
#include "common/io/transport.h"
#include "common/wire/http1_head.h"

namespace weir::http {

class H2Transport;

// What a stream needs of its session.
class H2Streams {
 public:
  virtual void submit(std::int32_t id, const Response& response) = 0;
  // There is more to send, or the end; and again after nothing was.
  virtual void resume(std::int32_t id) = 0;
  // RST_STREAM, for no fault of the client's.
  virtual void reset(std::int32_t id) = 0;
  // So many bytes of the client's DATA have been taken.
  virtual void consumed(std::int32_t id, std::size_t bytes) = 0;
  // Tell the stream's watcher of `events` soon, and not from inside the caller.
  virtual void notify(std::int32_t id, std::uint32_t events) = 0;

 protected:
  ~H2Streams() = default;
};

class H2Stream {
 public:
  static constexpr std::size_t kReceiveWindow = 16 * 1024;
  static constexpr std::size_t kSendBuffer = 64 * 1024;

  H2Stream(H2Streams& streams, std::int32_t id) : streams_(streams), id_(id) {}
  ~H2Stream();
  H2Stream(const H2Stream&) = delete;
  H2Stream& operator=(const H2Stream&) = delete;

  RequestFields fields;  // while they come

  // For the session. The fields are complete: errors of RequestFields::head().
  Result<void> begin(bool has_body);
  void feed(ByteView data);
  void end_request();
  bool request_ended() const { return request_ended_; }
  // Bytes that are ready to go as DATA; none: not now, or never when complete().
  ByteView to_send() const { return ByteView(to_send_).subspan(sent_); }
  void sent(std::size_t bytes);
  bool complete() const { return complete_; }
  bool broken() const { return broken_; }

  // For the server's side.
  Result<std::size_t> read(std::span<std::uint8_t> into);
  Result<std::size_t> write(std::span<const iovec> pieces);
  bool full() const { return to_send().size() >= kSendBuffer; }
  // The server has written all that it will.
  void end_response();
  // And reads no more.
  void leave();
  // The client, or the whole connection, has gone.
  void cut();

  Watcher* watcher = nullptr;
  H2Transport* transport = nullptr;  // null: nobody serves it yet, or any more
  Clock::time_point moved{};         // began, or was last sent something

 private:
  Result<bool> take_some(ByteView& bytes);

  H2Streams& streams_;
  const std::int32_t id_;
  bool chunked_ = false;  // the request's body, towards the server
  bool request_ended_ = false;
  bool wanted_ = false;  // what comes is read by a server, or will be by the next one
  ByteBuffer received_;
  std::size_t read_ = 0;     // of it
  std::size_t unacked_ = 0;  // DATA in it that is not consumed()
  ResponseReader head_;
  bool head_sent_ = false;
  Body body_;
  bool complete_ = false;  // all of the response is in to_send()
  bool broken_ = false;    // there will be no more of it
  ByteBuffer to_send_;
  std::size_t sent_ = 0;  // of it
};

// What lies below the server's Socket.
class H2Transport final : public Transport {
 public:
  // `alive` is decremented with it.
  H2Transport(H2Stream& stream, std::shared_ptr<std::size_t> alive);
  ~H2Transport() override;

  Result<std::size_t> read(std::span<std::uint8_t> into) override;
  Result<std::size_t> write(std::span<const iovec> pieces) override;
  // A broken one takes nothing, and who waits to write has to hear of it.
  bool holds() const override {
    return stream_ != nullptr && !stream_->broken() && stream_->full();
  }
  void shut_down_writes() override;
  void watch(Loop& loop, Watcher& watcher) override;
  void unwatch(Loop& loop, Watcher& watcher) override;
  void close() override;

  // The stream is no more.
  void orphan();

 private:
  std::unexpected<Error> gone() const;

  H2Stream* stream_;
  bool complete_ = false;
  std::shared_ptr<std::size_t> alive_;
};

}  // namespace weir::http
