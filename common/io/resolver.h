// common/io/resolver.h
// Names to addresses, without blocking the loop (c-ares reads resolv.conf and the hosts file).
//
// Answers are kept for their TTL; forget() makes the next resolve() ask again. connect() does that
// when nobody lets itself be connected, and tries what the name leads to now. While the resolver
// does not answer, or denies the name, the last known addresses go on being used, and nobody waits
// long to learn that. Questions for one name that come together are asked once.
//
// Threading: one loop's. Bounds: kMaxNames names.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/io/address.h"
#include "common/io/gate.h"
#include "common/io/socket.h"

namespace weir {

class Resolver {
 public:
  static constexpr std::size_t kMaxNames = 1000;

  explicit Resolver(Loop& loop);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  Loop& loop() const { return loop_; }

  // At least one address. Numeric hosts are answered at once. Errors: Refused when the name leads
  // nowhere, Timeout, Cancelled.
  Task<Result<std::vector<Address>>> resolve(std::string host, std::uint16_t port,
                                             Deadline deadline);
  void forget(const std::string& host);

  // Resolves and connects to the first address that lets us, dividing the time left between them.
  Task<Result<std::unique_ptr<Socket>>> connect(std::string host, std::uint16_t port,
                                                Deadline deadline);

 private:
  class Channel;
  struct Answer {
    std::vector<Address> addresses;
    Clock::time_point expires;
  };
  struct Question {
    explicit Question(Loop& loop) : answered(loop) {}
    Gate answered;
    bool done = false;
  };

  void ask(const std::string& host);
  void answer(const std::string& host, std::vector<Address> addresses, std::chrono::seconds ttl);

  Loop& loop_;
  std::unique_ptr<Channel> channel_;
  std::map<std::string, Answer> answers_;
  std::map<std::string, std::shared_ptr<Question>> questions_;
};

}  // namespace weir
