// proxy/srt_session.h
// One SRT client of the proxy, joined with the origin of its stream.
//
//     client                           us                                origin
//       ├─ INDUCTION ────────────────►│ (nothing is kept: SrtRelay)
//       │◄───────────── our cookie ───┤
//       ├─ CONCLUSION, our cookie ───►│ made here ── INDUCTION ─────────────►│  again every kRepeat,
//       │  (repeats: ignored)         │◄────────────────── its cookie ───────┤  then the next origin
//       │                             ├─ the client's CONCLUSION, its cookie ►│
//       │◄──────────────── its CONCLUSION or its rejection, as it is ────────┤
//       │◄══════════════════ packets, as they are ══════════════════════════►│
//
// Each end knows the other's real socket id, so packets pass unchanged. Overwritten are, in
// handshakes alone: the cookie; the peer address, so that each end sees of us what it would see
// without us; the timestamp, by the time that they spent here, since both ends derive their clocks'
// difference from it.
//
// Threading: the loop that the client's packets come to. Bounds: a place on an SrtTrunk and two
// handshakes; a deadline for every step, then both ends must be heard within `idle`.
#pragma once

#include <optional>
#include <vector>

#include "common/io/gate.h"
#include "common/live_session.h"
#include "common/wire/srt.h"
#include "proxy/access/access.h"
#include "proxy/srt_context.h"

namespace weir {

class SrtSession {
 public:
  // `port` is where the client's packets come to. REQUIRES: call.conclusion is one.
  SrtSession(SrtContext context, SrtSessions& sessions, UdpSocket& port, SrtCall call);
  ~SrtSession();

  // Up to the end of both, which it logs.
  Task<void> run();

  // A packet for the origin.
  void from_client(std::span<std::uint8_t> packet);
  // A packet of the origin for the client's socket id.
  void from_origin(std::span<std::uint8_t> packet);
  // Nobody listens at the origin.
  void refused();
  // The client repeats its CONCLUSION.
  void asked_again(const srt::Handshake& conclusion);
  // The client's packets come to that loop instead; see srt_handover.h. REQUIRES: it has been
  // joined. None when descriptors have run out.
  std::optional<SrtLoan> lend(SrtHome borrower);
  void ended_elsewhere();

 private:
  enum class Step { None, Induction, Conclusion, Joined };

  void hear_handshake(std::span<std::uint8_t> packet);
  void join(const srt::Handshake& answer, std::span<std::uint8_t> packet);
  void end(Errc code, std::string text);

  Task<Result<void>> ask_access();
  Task<Result<void>> reach();
  Task<Result<void>> try_upstream(UpstreamPtr upstream);
  Task<Result<void>> try_address(Address address, Deadline deadline);
  Task<Result<void>> ask(Step step, Deadline deadline);
  Task<void> attend();
  void say_induction();
  void say_conclusion();
  void say_answer();
  void say_goodbye();
  Clock::time_point last_heard() const;
  void leave_trunk();
  Traffic traffic() const;
  SessionFacts facts() const;
  void log_end();

  SrtContext context_;
  Loop& loop_;
  SrtSessions& sessions_;
  UdpSocket& port_;
  const UdpPeer client_;
  const std::string key_;
  const bool publishes_;
  const std::string id_;
  const SrtKey caller_;
  const std::uint32_t initial_sequence_;

  Step step_ = Step::None;
  Gate news_;  // step_, end_ or refused_ has changed
  std::string upstream_;
  Address origin_address_;
  std::shared_ptr<SrtTrunk> origin_;
  std::optional<RouteUse> use_;
  AccessRequest access_;
  std::optional<AccessRefusal> barred_;
  Grant grant_;
  bool refused_ = false;  // nobody listens at the origin
  SrtKey joined_;
  std::uint32_t cookie_ = 0;  // the origin's
  ByteBuffer conclusion_;     // the client's
  ByteBuffer answer_;         // the origin's to it
  std::uint32_t conclusion_stamp_ = 0;
  std::uint32_t answer_stamp_ = 0;
  Clock::time_point asked_at_;
  Clock::time_point answered_at_;
  Clock::time_point client_seen_;
  Clock::time_point origin_seen_;
  std::vector<SrtHome> borrowers_;
  std::shared_ptr<SrtPulse> pulse_;  // of the client, on the borrowers' loops
  bool parted_ = false;              // an end has said SHUTDOWN, and the other was told
  bool rejected_ = false;            // by the origin, as the client was told
  std::optional<Error> end_;
  std::uint64_t received_ = 0;  // bytes from the client, on this loop
  std::uint64_t sent_ = 0;
  LiveSession* live_ = nullptr;  // until its first media
};

}  // namespace weir
