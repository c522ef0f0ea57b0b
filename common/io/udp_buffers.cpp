#include "common/io/udp_buffers.h"

#include <netinet/udp.h>
#include <unistd.h>

#include <algorithm>

#include "common/check.h"
#include "common/io/udp_socket.h"

namespace weir {

namespace {

// A batch is worth its system call from here on; below, the slots are freed first.
constexpr std::size_t kFewSlots = 8;

bool takes_option(int option, int value) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool taken = setsockopt(fd, SOL_UDP, option, &value, sizeof(value)) == 0;
  if (fd >= 0) ::close(fd);
  return taken;
}

}  // namespace

const UdpOffload& UdpOffload::probed() {
  static const UdpOffload offload{.segmentation = takes_option(UDP_SEGMENT, 0),
                                  .coalescing = takes_option(UDP_GRO, 1)};
  return offload;
}

UdpBuffers::UdpBuffers(Loop& loop)
    : loop_(loop),
      pace_(loop),
      arena_(std::make_unique_for_overwrite<std::uint8_t[]>(kSlots * kStride)),
      copies_(std::make_unique_for_overwrite<std::uint8_t[]>(kCopies)) {
  pieces_.reserve(kMaxPieces);
  runs_.reserve(kMaxPieces);
  recent_.fill(kNone);
}

UdpBuffers::~UdpBuffers() { INVARIANT(waiting_.empty()); }

void UdpBuffers::flush() {
  for (UdpSocket* socket : waiting_) socket->flush();
  waiting_.clear();
  pieces_.clear();
  runs_.clear();
  recent_.fill(kNone);
  used_copies_ = 0;
}

std::size_t UdpBuffers::free_slots() {
  if (kSlots - used_slots_ < kFewSlots) {
    flush();
    used_slots_ = 0;
  }
  return kSlots - used_slots_;
}

ByteView UdpBuffers::keep(ByteView bytes) {
  if (used_copies_ + bytes.size() > kCopies) flush();
  std::uint8_t* at = copies_.get() + used_copies_;
  std::ranges::copy(bytes, at);
  used_copies_ += bytes.size();
  return {at, bytes.size()};
}

void UdpBuffers::turn_ended() {
  flush();
  used_slots_ = 0;
  // Whoever is told may destroy sockets, which then leave the list.
  while (!refused_.empty()) {
    UdpSocket* socket = refused_.back();
    refused_.pop_back();
    socket->report_refused();
  }
}

}  // namespace weir
