// edge/viewer.h
// One viewer: a socket and a cursor in the log of its stream's format. There is no
// queue, no coroutine and no copy of media per viewer; its Fanout flushes it and ends it.
//
// What a viewer sends is read and dropped, but for the few RTMP commands that matter to a live
// viewer, and a WebSocket's pings and its close. Our own messages to it (`aside`) go between two
// messages of the log.
//
// Threading: its Fanout's loop. Bounds: a few hundred bytes, and while a message is cut off the one
// log block it is in.
#pragma once

#include <memory>
#include <string>

#include "cache/media_log.h"
#include "common/io/socket.h"
#include "common/live_session.h"
#include "common/wire/rtmp_chunk_reader.h"
#include "common/wire/websocket_frame.h"
#include "proxy/access/grant.h"

namespace weir {

class Fanout;

// A client whose wish to view has been granted, before it becomes a Viewer.
struct Arrival {
  std::unique_ptr<Socket> socket;
  std::string id;                             // follows the connection through the logs
  std::unique_ptr<rtmp::ChunkReader> reader;  // of an RTMP client: where reading goes on
  ByteBuffer unread;                          // what came behind its request
  ByteBuffer greeting;                        // goes before the media: the answer to its request
  std::shared_ptr<void> admission;            // given back when the viewer goes
  Grant grant{};                              // ends then
  std::unique_ptr<websocket::FrameReader> frames = nullptr;  // of a WebSocket client
  std::string agent{};                                       // how it calls itself
  std::string page_url{};                                    // where it plays
  Clock::time_point asked{};                                 // when it came, or its request
  bool reconnects = false;  // it has said that it follows a ReconnectRequest (E-RTMP v2)
};

class Viewer final : private Watcher {
 public:
  Viewer(Fanout& fanout, Format format, Arrival arrival, const LogView& view);
  ~Viewer();
  Viewer(const Viewer&) = delete;
  Viewer& operator=(const Viewer&) = delete;

  Format format() const { return format_; }
  const std::string& id() const { return id_; }
  bool reconnects() const { return reconnects_; }
  const Address& peer() const { return peer_; }
  std::uint64_t sent() const { return sent_; }
  Clock::time_point joined() const { return joined_; }

  // Sends what is new, in one write if the kernel takes it. False: the viewer has ended, see why().
  bool flush(const LogView& view);
  // Sends `bytes` at the next boundary between messages.
  void aside(const ByteBuffer& bytes);
  // The last words, as far as the kernel takes them now.
  void farewell(const ByteBuffer& bytes);

  // Blocked since so long; zero when it is not.
  Clock::duration stalled(Clock::time_point now) const;
  const Error& why() const { return why_; }
  void set_why(Error why) { why_ = std::move(why); }
  // No more is sent to it; its session is told why.
  void over() { session_.over(why_.code); }

  std::size_t index = 0;  // its place in the Fanout

 private:
  void on_ready(std::uint32_t events) override;
  bool receive();
  Result<std::size_t> receive_into(std::span<std::uint8_t> into);
  Result<std::size_t> write(std::span<const iovec> pieces);
  bool clogged() const { return wire_.transport && wire_.transport->holds(); }
  Result<void> take_in(ByteView input);
  Result<void> take_frames(ByteView input);
  Result<void> obey(const rtmp::Message& message);
  bool send(std::span<const iovec> pieces, std::size_t aside_bytes, const LogView& view);

  Fanout& fanout_;
  Cursor cursor_;
  Socket::Released wire_;
  Format format_;
  bool reconnects_;
  bool blocked_ = false;
  bool paused_ = false;
  std::uint64_t received_ = 0;
  std::uint64_t sent_ = 0;
  Clock::time_point joined_;
  Clock::time_point progress_;  // when the kernel last took something
  std::unique_ptr<ByteBuffer> aside_;
  std::unique_ptr<rtmp::ChunkReader> reader_;
  std::unique_ptr<websocket::FrameReader> frames_;
  std::string id_;
  Address peer_;
  std::shared_ptr<void> admission_;
  Grant grant_;
  Error why_{Errc::Closed, ""};
  LiveSession session_;
};

}  // namespace weir
