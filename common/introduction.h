// common/introduction.h
// Connections that a load balancer makes for others: it says ahead of each one's own bytes whose it
// is (the PROXY protocol), and from there on the socket's peer is that client.
//
// Only those in `from` are asked for it, and of them nothing else is taken: whoever could connect
// both ways could name himself as he likes.
//
// Threading: the socket's loop. Bounds: proxy_protocol::kMaxHeader, read where it lies in the kernel.
#pragma once

#include "common/io/socket.h"

namespace weir {

// Reads the header and nothing behind it. Errors: Protocol, Limit, and those of Socket::peek.
Task<Result<void>> introduce(Socket& socket, Deadline deadline);

}  // namespace weir
