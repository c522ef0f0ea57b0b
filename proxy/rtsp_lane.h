// proxy/rtsp_lane.h
// One direction of an RTSP session once media has been set up (RelayPipe): frames pass in the pieces
// they came in, with only their four bytes of header looked at, and each message is shown to the
// relay on its way.
//
// The relay's own answers to one side go into the lane that leads there, by insert(): between two
// frames, never into one.
//
// Threading: one loop's. Bounds: RelayPipe's with the messages in it, and kMaxInserted.
#pragma once

#include <functional>

#include "common/wire/rtsp.h"
#include "proxy/relay_pipe.h"

namespace weir {

class RtspLane final : public RelayPipe {
 public:
  static constexpr std::size_t kMaxInserted = 16 * 1024;

  // Appends to `out` what is to be sent in the message's place. An error ends the lane.
  using OnMessage = std::move_only_function<Result<void>(rtsp::Message message, std::string& out)>;

  // Goes on where the set-up's connections stopped; `unread` is what of `from` nobody has read.
  RtspLane(Socket& from, Socket& to, const rtsp::Reader& reader, ByteView unread,
           OnMessage on_message, milliseconds stall_timeout, Tally& tally);

  // Sends a message of our own, now or behind the frame that is under way. Errors: Limit when the
  // receiver does not take what there is already, and the socket's.
  Result<void> insert(const rtsp::Message& message);

  // Called once, when the first frame comes.
  std::move_only_function<void()> on_media;

  // When something came from `from` last.
  Clock::time_point heard_at() const { return heard_at_; }
  // What its bytes were refused with, if that ended the lane.
  int refusal() const { return refusal_; }

 private:
  Result<void> forward(std::span<std::uint8_t> received) override;
  Result<void> send(ByteView bytes);

  rtsp::Reader reader_;
  OnMessage on_message_;
  std::string inserted_;  // waits for the frame's end
  std::string text_;
  Clock::time_point heard_at_;
  int refusal_ = 0;
};

}  // namespace weir
