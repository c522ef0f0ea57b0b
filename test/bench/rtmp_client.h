// test/bench/rtmp_client.h
// One RTMP connection that plays or publishes a stream: bytes in, bytes out, no socket.
//
// Plain handshake, connect, createStream, play or publish; pings are answered. It asks for as little as real
// players do and works against nginx-rtmp, SRS and weir.
#pragma once

#include "test/bench/rtmp_wire.h"

namespace weir::bench {

class RtmpClient {
 public:
  struct Target {
    std::string tc_url;  // rtmp://host:port/app
    std::string app;
    std::string stream;
    bool publish = false;
  };

  explicit RtmpClient(const Target& target) : target_(target) {}

  void start(ByteBuffer& out) const {
    out.push_back(3);  // C0; C1 is a time, a zero, and bytes of no meaning
    out.resize(out.size() + kHandshakeSize);
  }

  // Calls on_media(rtmp::Type, ByteView payload). False: refused, or not RTMP.
  template <class OnMedia>
  bool feed(ByteView input, ByteBuffer& out, OnMedia&& on_media) {
    if (!shaken_) {
      append(handshake_, input);
      if (handshake_.size() < 1 + 2 * kHandshakeSize) return true;
      finish_handshake(out);
      input = input.last(handshake_.size() - (1 + 2 * kHandshakeSize));
    }
    const bool readable = reader_.feed(input, [&](const rtmp::Message& message) {
      switch (message.header.type) {
        case rtmp::Type::Audio:
        case rtmp::Type::Video: on_media(message.header.type, message.payload); break;
        case rtmp::Type::CommandAmf0: on_command(message.payload, out); break;
        case rtmp::Type::UserControl: on_event(message.payload, out); break;
        case rtmp::Type::WindowAckSize:
          if (message.payload.size() >= 4) ack_window_ = load_be32(&message.payload[0]);
          break;
        default: break;
      }
    });
    return readable && !refused_;
  }

  // RTMP 5.4.4: after so many bytes the server wants an Acknowledgement; 0 for never.
  std::uint32_t ack_window() const { return ack_window_; }
  bool streaming() const { return streaming_; }
  std::uint32_t stream_id() const { return stream_id_; }

 private:
  void finish_handshake(ByteBuffer& out) {
    shaken_ = true;
    append(out, ByteView(handshake_).subspan(1, kHandshakeSize));  // C2 echoes S1
    Command connect("connect", 1);
    connect.object({{"app", target_.app},
                    {"type", "nonprivate"},
                    {"flashVer", "FMLE/3.0 (compatible; weir-bench)"},
                    {"tcUrl", target_.tc_url}});
    write_command(out, 0, connect);
  }

  void on_command(ByteView payload, ByteBuffer& out) {
    const CommandView command(payload);
    if (command.name() == "_error") refused_ = true;
    if (command.name() == "_result" && command.transaction() == 1) {
      if (target_.publish)
        write_command(out, 0, Command("releaseStream", 2).null().text(target_.stream));
      if (target_.publish)
        write_command(out, 0, Command("FCPublish", 3).null().text(target_.stream));
      write_command(out, 0, Command("createStream", 4).null());
    } else if (command.name() == "_result" && command.transaction() == 4) {
      stream_id_ = command.numbers.size() > 1 ? static_cast<std::uint32_t>(command.numbers[1]) : 1;
      Command request(target_.publish ? "publish" : "play", 5);
      request.null().text(target_.stream);
      if (target_.publish) request.text("live");
      write_command(out, stream_id_, request);
      if (target_.publish) write_control(out, rtmp::Type::SetChunkSize, rtmp::kOutChunkSize);
    } else if (command.name() == "onStatus") {
      const auto has = [&](std::string_view word) { return as_text(payload).contains(word); };
      if (has("Stream.Play.Start") || has("Stream.Publish.Start")) streaming_ = true;
      if (has("Failed") || has("NotFound") || has("BadName") || has("Denied")) refused_ = true;
    }
  }

  void on_event(ByteView payload, ByteBuffer& out) {
    if (payload.size() < 6 || load_be16(&payload[0]) != std::uint32_t(rtmp::Event::PingRequest))
      return;
    write_event(out, rtmp::Event::PingResponse, load_be32(&payload[2]));
  }

  const Target& target_;
  ByteBuffer handshake_;
  ChunkReader reader_;
  std::uint32_t ack_window_ = 0;
  std::uint32_t stream_id_ = 1;
  bool shaken_ = false, streaming_ = false, refused_ = false;
};

}  // namespace weir::bench
