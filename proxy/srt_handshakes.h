// proxy/srt_handshakes.h
// What this node itself says in SRT handshakes, beside what it passes on.
#pragma once

#include "common/io/address.h"
#include "common/wire/srt.h"

namespace weir {

// The peer address field of a handshake that goes to this address: each end is told its own.
std::array<std::uint8_t, 16> srt_peer_field(const Address& address);

// The answer to a caller's INDUCTION.
ByteBuffer srt_greeting(const srt::Handshake& induction, const Address& caller,
                        std::uint32_t cookie);
// What opens a connection to an origin for this CONCLUSION of a client.
ByteBuffer srt_induction(const srt::Handshake& conclusion, const Address& origin);
ByteBuffer srt_rejection(const srt::Handshake& of, srt::Rejection why);

// How a reason of ours is told. libsrt has words only for its own codes, so trouble of this node and
// of origins gets one of those; what the caller itself did gets a code that programs understand.
srt::Rejection srt_rejection_of(Errc code);
// And how an origin's is logged.
Error srt_error_of(srt::Rejection reason);

}  // namespace weir
