// proxy/srt_relay.h
// The SRT port of one loop: gives cookies to callers, makes sessions of those who bring one back,
// and hands each client's packets to its session.
//
// Nothing is kept of a caller, and nothing larger than what it sent is said to it, before it has
// shown by a cookie that it receives at its address. Packets from any other address than a
// session's own are of no session, whatever socket id they name: nobody can end another's.
//
// Threading: one loop's. Bounds: `admission` and max_pending for sessions; a packet costs one look
// into a table.
#pragma once

#include "common/io/admission.h"
#include "common/io/packet_pass.h"
#include "proxy/srt_cookie.h"
#include "proxy/srt_session.h"

namespace weir {

class SrtRelay final : private UdpHandler {
 public:
  // Takes over the descriptor. REQUIRES: made on the loop's thread; sessions have ended before it
  // goes.
  SrtRelay(SrtContext context, Admission& admission, const SrtCookies& cookies, int fd);

  // What is of no session here is another process's.
  void share(PacketPass& older) { older_ = &older; }
  // Another process reads the port from here on, and passes on what is ours.
  void hand_over() { port_.stop_receiving(); }
  void passed(const UdpPeer& from, std::span<std::uint8_t> packet) { received(from, packet); }

  // Refuses new callers. Those who are here go on.
  void stop_accepting() { stopped_ = true; }
  // Another loop's session has ended, of which packets came here.
  void drop_loan(const SrtKey& key) { borrowed_.drop(key); }

 private:
  void received(const UdpPeer& from, std::span<std::uint8_t> packet) override;
  void stray(const UdpPeer& from, ByteView packet);
  void pass_elsewhere(const UdpPeer& from, const SrtKey& key, ByteView packet);
  void lend(const SrtKey& key, SrtHome borrower);
  void hear_handshake(const UdpPeer& from, ByteView packet);
  void greet(const UdpPeer& caller, const srt::Handshake& induction);
  void admit(const UdpPeer& caller, const srt::Handshake& conclusion, ByteView packet);
  void reject(const UdpPeer& caller, const srt::Handshake& conclusion, srt::Rejection reason,
              const Error& why);
  Task<void> serve(SrtCall call, std::shared_ptr<void> ticket);

  SrtContext context_;
  Admission& admission_;
  const SrtCookies& cookies_;
  SrtSessions sessions_;
  SrtBorrowed borrowed_;
  UdpSocket port_;
  bool stopped_ = false;
  PacketPass* older_ = nullptr;
};

}  // namespace weir
