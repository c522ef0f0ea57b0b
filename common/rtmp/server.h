// common/rtmp/server.h
// The part of an RTMP server that needs no media: from the client's connect to its publish or play.
//
// A server of any role must answer connect and createStream before it hears which stream is meant,
// so these answers promise nothing; the verdict on publish or play is the role's, and is sent with
// the functions below. The commands are those of ffmpeg, OBS, librtmp, VLC, GStreamer and Flash's
// own players.
//
// Threading: the connection's loop. Bounds: kMaxCommands until the request, kMaxMessage bytes each.
#pragma once

#include <string>
#include <vector>

#include "common/rtmp/connection.h"

namespace weir::rtmp {

struct Request {
  enum class Kind { Play, Publish };
  Kind kind = Kind::Play;
  std::string app;  // as the client wrote it, arguments included
  std::string tc_url;
  std::string stream;                  // the same
  std::vector<amf0::Value> connect;    // all after the transaction id: the command object first
  std::vector<amf0::Value> arguments;  // of play or publish, after the stream's name
  std::uint32_t stream_id = kMediaStreamId;  // of the message that asked

  // A text property of the connect object; empty when there is none.
  std::string_view property(std::string_view name) const;
};

inline constexpr int kMaxCommands = 64;
inline constexpr std::uint32_t kMaxSetupMessage = 64 * 1024;

// Answers commands until the client asks to publish or play, and tells it the chunk size that it
// will be sent. What it collects is not flushed after the last command. Errors: Protocol, Limit,
// and the connection's.
Task<Result<Request>> serve_setup(Connection& connection, std::uint32_t window_ack,
                                  Deadline deadline, std::uint32_t chunk_size = kOutChunkSize);

// onStatus (RTMP 7.2.2). Codes such as "NetStream.Play.StreamNotFound"; level "status" or "error".
void send_status(Connection& connection, std::uint32_t stream_id, std::string_view level,
                 std::string_view code, std::string_view description);
// The same as bytes, for a peer that reads chunks of `chunk_size`; and what tells a viewer that the
// stream has ended.
ByteBuffer status_message(std::uint32_t stream_id, std::string_view level, std::string_view code,
                          std::string_view description, std::uint32_t chunk_size = kOutChunkSize);
ByteBuffer unpublish_messages(std::uint32_t stream_id);
// All that goes before the media of an accepted play.
void send_play_started(Connection& connection, std::uint32_t stream_id, std::string_view stream);
// E-RTMP v2: what tells a client that it should connect anew and go on there; and whether it has said
// in its connect that it will (capsEx).
ByteBuffer reconnect_request(std::string_view description,
                             std::uint32_t chunk_size = kOutChunkSize);
bool follows_reconnects(const Request& request);
void send_publish_started(Connection& connection, std::uint32_t stream_id, std::string_view stream);

// The answer to a request that is not granted: an onStatus whose code fits `why`. Between weirs the
// reason itself travels as one more property.
void send_refusal(Connection& connection, const Request& request, const Error& why);
inline constexpr std::string_view kReasonProperty = "weirReason";

// Decodes a command or data message: AMF3's kind differs by one leading byte here (RTMP 7.1.1).
Result<std::vector<amf0::Value>> decode_command(const Message& message);
bool is_command(const Message& message);

}  // namespace weir::rtmp
