// edge/forwarder.h
// Sends what is published to this edge on to an upstream, as any other publisher would.
//
// It reads the stream's RTMP log like a viewer: one copy of the media serves local viewers and
// upstream. When the upstream breaks, it publishes to the next one from the newest keyframe on, and
// the local publisher notices nothing.
//
// Threading: the stream's home loop. Bounds: one connection; a deadline on everything; an upstream
// that takes nothing for source_timeout is left.
#pragma once

#include <optional>

#include "common/wire/rtmp_chunk_walker.h"
#include "edge/edge_options.h"
#include "edge/stream.h"
#include "edge/stream_request.h"

namespace weir {

class Forwarder {
 public:
  struct Context {
    Stream& stream;
    const EdgeOptions& options;
    Routing& routing;
    Resolver& resolver;
  };

  Forwarder(Context context, StreamRequest request);

  // Ends after stop(), when an upstream refuses the stream itself, or at first when none can be
  // reached.
  Task<Error> run();
  void stop();

  bool was_accepted() const { return verdict_ && verdict_->has_value(); }
  // The first verdict: accepted by an upstream, or why not. Waits for it.
  Task<Result<void>> accepted(Deadline deadline);

 private:
  Task<Error> publish(Dialer& dialer, Dialed dialed);
  Task<Result<void>> open(rtmp::Connection& connection, const Endpoint& endpoint,
                          std::uint32_t& stream_id);
  Task<Error> send_log(rtmp::Connection& connection, std::uint32_t stream_id);
  Task<Result<std::size_t>> send(Socket& socket, std::span<const iovec> pieces);
  Task<Result<std::size_t>> send_copy(Socket& socket, rtmp::ChunkWalker& walker, iovec piece);
  Deadline write_deadline() const;
  Task<void> watch(rtmp::Connection& connection);
  void decide(Result<void> verdict);

  Context context_;
  StreamRequest request_;
  Loop& loop_;
  Socket* socket_ = nullptr;
  bool stopped_ = false;
  std::optional<Error> refusal_;  // what the upstream said while media was being sent
  Gate changed_;                  // stopped or decided
  std::optional<Result<void>> verdict_;
};

}  // namespace weir
