// common/rtmp/client.h
// The part of an RTMP client that needs no media: connect, createStream, then
// publish or play and the verdict.
//
// Only what every server must answer is waited for. releaseStream, FCPublish and their like are
// sent because some servers want them, and their answers are never awaited because some do not give
// any.
//
// Threading: the connection's loop. Bounds: kMaxReplies messages until each awaited answer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/endpoint.h"
#include "common/rtmp/server.h"
#include "common/stream_key.h"

namespace weir::rtmp {

inline constexpr int kMaxReplies = 64;

// Does the handshake, sends connect with these arguments (the command object first) and, once it is
// granted, createStream; all in chunks of `chunk_size`. The id of the new message stream. Errors:
// Denied with the server's words, Protocol, the connection's.
Task<Result<std::uint32_t>> open_stream(Connection& connection, std::vector<amf0::Value> connect,
                                        std::uint32_t window_ack, Deadline deadline,
                                        std::uint32_t chunk_size = kOutChunkSize);

// What connect says of a player: the beginning of its command object.
amf0::Value player_object(const StreamName& name, const Endpoint& server);

// Asks; the answer is for the caller to read. `stream` with its arguments; `arguments` follow the
// name.
void send_play(Connection& connection, std::uint32_t stream_id, std::string_view stream,
               const std::vector<amf0::Value>& arguments = {});
void send_publish(Connection& connection, std::uint32_t stream_id, std::string_view stream,
                  const std::vector<amf0::Value>& arguments = {});

// What a server says about the stream (onStatus), or about a command it refuses (_error).
struct Verdict {
  bool error = false;
  bool reply = false;  // an _error: it concerns our own command, and is not for a client
  std::string code;
  std::string description;
  bool loop = false;  // another weir found that the request came back to it

  // Errc::NotFound, Busy, Denied, Loop or Unavailable.
  Errc reason() const;
};
// Nothing when the message says neither. A command that does not decode says neither.
std::optional<Verdict> verdict_of(const Message& message);

}  // namespace weir::rtmp
