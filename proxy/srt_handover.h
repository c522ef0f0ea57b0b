// proxy/srt_handover.h
// For packets that come to another loop than their session's. The kernel keeps a client's packets on
// one loop as long as the same sockets share the port; when one of these closes or opens, clients
// are spread anew.
//
//     loop B                                     loop A, the session's home
//       packet of no session here
//       SrtDirectory: it is A's      ── ask ────►  lend(): a descriptor of the socket towards the origin
//       SrtBorrowed keeps it         ◄─ loan ───
//       packets go to the origin from here on     answers go to the client from here, as before
//       SHUTDOWN                     ── tell ───►  ends; tells every borrower
//
// So a flow is handed over once. From then on its packets cost a system call each and no message.
//
// Threading: SrtDirectory any; SrtBorrowed one loop's; an SrtLoan's pulse is shared.
// Bounds: kLookups questions a second and loop, or strays could be made to contend for the
// directory's lock; kEarly packets a flow while its loan is under way.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "common/bytes.h"
#include "common/io/loop.h"
#include "proxy/srt_flows.h"

namespace weir {

class SrtRelay;

struct SrtHome {
  Loop* loop = nullptr;
  SrtRelay* relay = nullptr;
};

// Where the joined sessions of this node live.
class SrtDirectory {
 public:
  void add(const SrtKey& key, SrtHome home);
  void remove(const SrtKey& key);
  std::optional<SrtHome> find(const SrtKey& key) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<SrtKey, SrtHome, SrtKeyHash> homes_;
};

// What loops that are not its session's have heard of the client: when last, and how much.
struct SrtPulse {
  std::atomic<Clock::rep> heard{0};
  std::atomic<std::uint64_t> bytes{0};
};

struct SrtLoan {
  int fd = -1;  // the receiver's own
  std::shared_ptr<SrtPulse> pulse;
};

class SrtBorrowed {
 public:
  static constexpr std::size_t kEarly = 64;
  static constexpr int kLookups = 1000;

  SrtBorrowed() = default;
  ~SrtBorrowed();
  SrtBorrowed(const SrtBorrowed&) = delete;
  SrtBorrowed& operator=(const SrtBorrowed&) = delete;

  // Whether the directory may be asked about one more stray.
  bool may_ask(Clock::time_point now);
  // Packets of this flow wait for its loan from here on.
  void expect(const SrtKey& key, SrtHome home) { flows_[key].home = home; }
  void take(const SrtKey& key, SrtLoan loan, Clock::time_point now);
  void drop(const SrtKey& key);
  // Passes a packet on. Gives the session's home, or nothing when the flow is not borrowed.
  std::optional<SrtHome> pass(const SrtKey& key, ByteView packet, Clock::time_point now);

 private:
  struct Flow {
    SrtHome home;
    SrtLoan loan;
    std::vector<ByteBuffer> early;
  };

  std::unordered_map<SrtKey, Flow, SrtKeyHash> flows_;
  Clock::time_point second_;
  int asked_ = 0;  // in that second
};

}  // namespace weir
