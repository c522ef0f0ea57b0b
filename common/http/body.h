// common/http/body.h
// Finds the end of one message's body in the bytes of its connection, whatever
// its framing, and takes the framing off for those who want the content alone.
//
// A relay passes the bytes of a chunked body on as they are: every one of them has gone through
// ChunkedReader, which is strict enough that no two readers see different ends in them.
//
// Threading: one owner. Bounds: holds no body.
#pragma once

#include "common/io/pump.h"
#include "common/wire/http1.h"
#include "common/wire/http1_chunked.h"

namespace weir::http {

class Body final : public PumpExtent {
 public:
  explicit Body(BodyFraming framing = {}) : framing_(framing), left_(framing.length) {}

  BodyFraming framing() const { return framing_; }

  // A piece of content, which is a view of the input. Empty: the body has ended, or needs more
  // bytes.
  Parsed<ByteView> next(ByteView& input);

  std::size_t room(std::size_t most) const override;
  Result<std::size_t> take(ByteView bytes) override;
  bool ended() const override;
  bool closed() override;

 private:
  BodyFraming framing_;
  std::uint64_t left_;  // of BodyFraming::Length
  bool closed_ = false;
  ChunkedReader chunks_;
};

}  // namespace weir::http
