// common/wire/rtsp.h
// RTSP as it stands on a connection (RFC 2326; RFC 7826's messages have the same form): requests,
// responses, and between them the interleaved frames of media.
//
//     DESCRIBE rtsp://host/live/cam RTSP/1.0 CRLF CSeq: 2 CRLF CRLF     request
//     RTSP/1.0 200 OK CRLF CSeq: 2 CRLF Content-Length: 460 ... v=0...   response, with its body
//     24 00 05 a8 <1448 bytes>  24 01 00 34 <52 bytes>                    frames: '$', channel, length
//
// Either side may send any of the three at any time, so one Reader reads them all. Frames come out
// as views of the input and in runs, for a relay passes them on unseen.
//
// What is refused, beyond broken syntax: lines that do not end with CRLF, folded headers,
// Content-Lengths that differ or are none, Transfer-Encoding, versions but 1.0 and 2.0. So what one
// party takes for a body, the next does not take for a request.
//
// Threading: values, and one owner for a Reader. Bounds: Limits; memory follows the bytes that
// arrived.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "common/wire/http1_headers.h"
#include "common/wire/http1_line.h"

namespace weir::rtsp {

using http::Headers;
using http::Parsed;
using http::Refusal;

struct Message {
  std::string method = {};  // of a request; empty in a response
  std::string uri = {};     // of a request, as it came
  int status = 0;           // of a response
  std::string reason = {};
  int version = 1;  // RTSP/<version>.0
  Headers headers = {};
  std::string body = {};

  bool is_request() const { return !method.empty(); }
  friend bool operator==(const Message&, const Message&) = default;
};

// Appends it. REQUIRES: it came from a Reader, or is as well-formed; set_body() has set its body.
void write(const Message& message, std::string& out);

// Content-Length says the truth afterwards; without a body it is removed.
void set_body(Message& message, std::string body);

// The answer with a request's version and CSeq. Other headers are the caller's to add.
Message answer_to(const Message& request, int status);

// "Unsupported Transport"; empty for a status without a name.
std::string_view reason_phrase(int status);

struct Limits {
  std::size_t head = 32 * 1024;  // first line and headers with their CRLFs: 431
  std::size_t line = 8 * 1024;   // any of them without CRLF: 414, 431
  std::size_t count = 64;        // headers: 431
  std::size_t body = 64 * 1024;  // 413
  std::size_t empty_lines = 4;   // CRLFs before a message: 400
};

inline constexpr std::uint8_t kFrameMark = '$';
inline constexpr std::size_t kFrameHeader = 4;

// What comes next: one of the two, or neither when more bytes are needed.
struct Item {
  ByteView frames;  // a run of them; the first may be the rest of one, the last may go on
  std::optional<Message> message;
};

class Reader {
 public:
  explicit Reader(Limits limits = {}) : limits_(limits) {}

  // Takes from the front of `input`; all of it when the item is neither. Refusals carry
  // Errc::Protocol or Errc::Limit and the status; every call after one returns it again.
  Parsed<Item> next(ByteView& input);
  // The same, but a run of frames ends with the first of them that does.
  Parsed<Item> next_single(ByteView& input);

  // No frame has been given out in part: something else may be written here.
  bool between_frames() const { return frame_left_ == 0 && frame_header_.empty(); }
  // Nothing of the next message or frame has come: an end of the connection here is an orderly one.
  bool idle() const;

 private:
  enum class Run { Whole, OneFrame };

  Parsed<Item> next(ByteView& input, Run run);
  ByteView take_frames(ByteView& input, Run run);
  Parsed<bool> take_line(std::string_view line);
  Parsed<void> begin_body();
  Parsed<std::optional<Message>> next_message(ByteView& input);
  Parsed<std::optional<Message>> take_body(ByteView& input);

  // The part of a frame's header that has come.
  struct PartialHeader {
    std::array<std::uint8_t, kFrameHeader> bytes;
    std::size_t size = 0;
    bool empty() const { return size == 0; }
  };

  Limits limits_;
  std::size_t frame_left_ = 0;
  PartialHeader frame_header_;
  http::LineReader lines_;
  Message message_;
  std::size_t used_ = 0;
  std::size_t empty_lines_ = 0;
  bool started_ = false;
  bool in_body_ = false;
  std::size_t body_size_ = 0;
  std::optional<Refusal> refusal_;
};

}  // namespace weir::rtsp
