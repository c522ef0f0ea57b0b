// common/wire/http1_chunked.h
// The chunked transfer coding, RFC 9112 section 7.1, read and written.
//
// The reader hands out the body as views of the input: media is relayed, never collected. It is as
// strict as the heads are: sizes are hexadecimal digits alone and fit 63 bits, every line ends with
// CRLF.
//
// Threading: one owner. Bounds: ChunkedLimits. Extensions are skipped; a peer that sends many more
// bytes of them than of body is refused, however small its chunks.
#pragma once

#include <optional>

#include "common/wire/http1_headers.h"
#include "common/wire/http1_line.h"

namespace weir::http {

struct ChunkedLimits {
  std::uint64_t body = UINT64_MAX;     // bytes of body: 413
  std::size_t size_line = 1024;        // a size with its extensions: 400
  std::size_t extensions = 16 * 1024;  // bytes of extensions beyond the bytes of body so far: 400
  std::size_t trailers = 8 * 1024;     // all trailer lines with their CRLFs: 431
  std::size_t trailer_count = 64;      // 431
};

class ChunkedReader {
 public:
  explicit ChunkedReader(ChunkedLimits limits = {}) : limits_(limits) {}

  // A piece of body, not empty, which is a view of the input; or the end; or neither: more bytes
  // are needed.
  struct Step {
    ByteView data;
    bool end = false;
  };

  // Takes from the front of `input`. After the end it takes nothing more: what is left is the next
  // head. Refusals carry Errc::Protocol or Errc::Limit and the status; every call after one returns
  // it again. Who reads an origin's body answers 502 instead, or cuts off.
  Parsed<Step> next(ByteView& input);

  bool ended() const { return state_ == State::End; }

  // Complete after the end. Without the fields that no trailer may bring (RFC 9110 6.5.1): those of
  // framing, routing and of the hop.
  const Headers& trailers() const { return trailers_; }

  // Body bytes handed out so far.
  std::uint64_t total() const { return total_; }

 private:
  enum class State { Size, Data, DataEnd, Trailers, End };

  Parsed<void> take_line(ByteView& input);
  Parsed<void> take_size(std::string_view line);
  Parsed<void> take_trailer(std::string_view line);

  ChunkedLimits limits_;
  LineReader lines_;
  State state_ = State::Size;
  std::uint64_t left_ = 0;  // of the chunk
  std::uint64_t total_ = 0;
  std::uint64_t extensions_ = 0;
  std::size_t trailer_bytes_ = 0;
  Headers trailers_;
  std::optional<Refusal> refusal_;
};

// A chunk is this line, `size` bytes, and kChunkEnd. REQUIRES: size > 0, for 0 would end the body.
void write_chunk_size(std::uint64_t size, std::string& out);
inline constexpr std::string_view kChunkEnd = "\r\n";

// The last chunk with its trailers.
void write_last_chunk(const Headers& trailers, std::string& out);

}  // namespace weir::http
