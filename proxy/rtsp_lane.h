// proxy/rtsp_lane.h
// One direction of an RTSP session once media has been set up: frames pass unseen and in the pieces
// they came in, and each message is shown to the relay on its way.
//
// Costs what a TCP proxy costs: one receive into the loop's scratch memory and one send a turn; of
// a frame only its four bytes of header are looked at. What the receiver does not take is kept, and
// nothing more is read until it is gone.
//
// The relay's own answers to one side go into the lane that leads there, by insert(): between two
// frames, never into one.
//
// Threading: one loop's. Bounds: one piece and the messages in it, and kMaxInserted.
#pragma once

#include <functional>

#include "common/io/socket.h"
#include "common/metrics.h"
#include "common/wire/rtsp.h"

namespace weir {

class RtspLane {
 public:
  static constexpr std::size_t kMaxInserted = 16 * 1024;

  // Appends to `out` what is to be sent in the message's place. An error ends the lane.
  using OnMessage = std::move_only_function<Result<void>(rtsp::Message message, std::string& out)>;

  // Goes on where the set-up's connections stopped; `unread` is what of `from` nobody has read.
  RtspLane(Socket& from, Socket& to, const rtsp::Reader& reader, ByteView unread,
           OnMessage on_message, milliseconds stall_timeout, Tally& tally);

  // Until one side ends: Closed when `from` is at its end and all of it has been sent. Then
  // half-closes `to`.
  Task<Error> run();

  // Sends a message of our own, now or behind the frame that is under way. Errors: Limit when the
  // receiver does not take what there is already, and the socket's.
  Result<void> insert(const rtsp::Message& message);

  // When something came from `from` last.
  Clock::time_point heard_at() const { return heard_at_; }
  // What its bytes were refused with, if that ended the lane.
  int refusal() const { return refusal_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  Result<void> forward(ByteView input);
  Result<void> send(ByteView bytes);
  Task<Result<void>> drain();

  Socket& from_;
  Socket& to_;
  rtsp::Reader reader_;
  OnMessage on_message_;
  milliseconds stall_timeout_;
  Tally& tally_;
  ByteBuffer unread_;   // until run()
  ByteBuffer pending_;  // for the receiver
  std::size_t pending_sent_ = 0;
  std::string inserted_;  // waits for the frame's end
  std::string text_;
  Clock::time_point heard_at_;
  int refusal_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace weir
