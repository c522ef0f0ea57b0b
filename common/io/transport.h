// common/io/transport.h
// What the bytes of a Socket pass through when they do not go over its descriptor as they are: TLS,
// or a stream of HTTP/2. A Socket without one is plain TCP and pays for this with one branch.
//
// A transport goes wherever the descriptor goes, also to a viewer that has left its Socket behind.
//
// Like a kernel, it takes bytes that it cannot send yet, so that whoever writes never has to offer
// them again; it holds() them until the descriptor is writable and flush() is called.
//
// Threading: one loop's. Bounds: each implementation's.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "common/error.h"
#include "common/io/loop.h"

namespace weir {

class Transport {
 public:
  Transport() = default;
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // As Socket::try_read and try_write: 0 means nothing now, wait for the descriptor.
  virtual Result<std::size_t> read(std::span<std::uint8_t> into) = 0;
  virtual Result<std::size_t> write(std::span<const iovec> pieces) = 0;
  // Some of what was written is still here.
  virtual bool holds() const { return false; }
  // Sends what of it can be sent. Errors: as write().
  virtual Result<void> flush() { return {}; }
  // What was written goes over the descriptor as it is; only reading passes through here.
  virtual bool writes_plainly() const { return false; }
  // Sends what it holds and then the end of our bytes, when it can. Reading goes on.
  virtual void shut_down_writes() = 0;

  // Tells `watcher` of readiness, with epoll's events and always at an edge, until unwatch().
  virtual void watch(Loop& loop, Watcher& watcher) = 0;
  virtual void unwatch(Loop& loop, Watcher& watcher) = 0;
  // After unwatch(): the end of the connection. What it still holds is lost.
  virtual void close() = 0;
};

// What a Socket and a Viewer wait for.
inline constexpr std::uint32_t kTransportEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

}  // namespace weir
