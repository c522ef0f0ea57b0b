// test/bench/flv_client.h
// One HTTP-FLV viewer: bytes in, bytes out, no socket. Chunked and plain bodies.
#pragma once

#include <cstdlib>
#include <string>

#include "common/wire/rtmp_message.h"

namespace weir::bench {

class FlvClient {
 public:
  struct Target {
    std::string host;  // with the port
    std::string path;
  };

  explicit FlvClient(const Target& target) : target_(target) {}

  void start(ByteBuffer& out) const {
    append(out, as_bytes("GET " + target_.path + " HTTP/1.1\r\nHost: " + target_.host +
                         "\r\nUser-Agent: weir-bench\r\nAccept: */*\r\n\r\n"));
  }

  // Calls on_media(rtmp::Type, ByteView payload). False: refused, ended, or not FLV.
  template <class OnMedia>
  bool feed(ByteView input, ByteBuffer& out, OnMedia&& on_media) {
    static_cast<void>(out);
    if (in_body_) return take_body(input) && take_tags(on_media);
    append(head_, input);
    const std::size_t end = as_text(head_).find("\r\n\r\n");
    if (end == std::string_view::npos) return head_.size() < 16384;
    if (as_text(head_).substr(8, 5) != " 200 ") return false;
    chunked_ = as_text(head_).substr(0, end).contains("chunked");
    in_body_ = true;
    return take_body(ByteView(head_).subspan(end + 4)) && take_tags(on_media);
  }

  std::uint32_t ack_window() const { return 0; }

 private:
  bool take_body(ByteView input) {
    if (!chunked_) {
      append(flv_, input);
      return true;
    }
    while (!input.empty()) {
      if (chunk_left_ > 0) {
        const std::size_t part = std::min(chunk_left_, input.size());
        append(flv_, input.first(part));
        chunk_left_ -= part;
        input = input.subspan(part);
        continue;
      }
      const char byte = static_cast<char>(input[0]);
      input = input.subspan(1);
      if (byte != '\n') {
        chunk_line_.push_back(byte);
      } else if (chunk_line_ != "\r") {  // else it is the line end behind a chunk
        chunk_left_ = std::strtoul(chunk_line_.c_str(), nullptr, 16);
        if (chunk_left_ == 0) return false;
        chunk_line_.clear();
      } else {
        chunk_line_.clear();
      }
      if (chunk_line_.size() > 100) return false;
    }
    return true;
  }

  template <class OnMedia>
  bool take_tags(OnMedia& on_media) {
    ByteView rest = flv_;
    if (!begun_ && rest.size() >= 13) {
      if (as_text(rest.first(3)) != "FLV") return false;
      rest = rest.subspan(13);
      begun_ = true;
    }
    while (begun_ && rest.size() >= 15) {
      const std::size_t size = load_be24(&rest[1]);
      if (rest.size() < size + 15) break;
      if (load_be32(&rest[size + 11]) != size + 11) return false;
      const auto type = static_cast<rtmp::Type>(rest[0]);
      if (type == rtmp::Type::Audio || type == rtmp::Type::Video)
        on_media(type, rest.subspan(11, size));
      rest = rest.subspan(size + 15);
    }
    flv_.erase(flv_.begin(), flv_.end() - static_cast<std::ptrdiff_t>(rest.size()));
    return true;
  }

  const Target& target_;
  ByteBuffer head_, flv_;
  std::string chunk_line_;
  std::size_t chunk_left_ = 0;
  bool in_body_ = false, chunked_ = false, begun_ = false;
};

}  // namespace weir::bench
