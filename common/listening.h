// common/listening.h
// Opening the ports that the configuration names, before anything runs: a port that cannot be had
// is the operator's mistake, told in one line. And serving who connects to them.
#pragma once

#include <string>
#include <vector>

#include "common/endpoint.h"
#include "common/io/admission.h"
#include "common/io/listener.h"

namespace weir {

// A TCP port shared by `loops` loops: one descriptor for each. Empty when there is no endpoint. An
// empty host is every address of this machine. Throws ConfigError with `option` and the address.
// Nobody else may have the port, unless it is held by another socket of ours.
enum class Port { Free, Held };
std::vector<int> open_tcp(const std::string& option, const std::optional<Endpoint>& endpoint,
                          std::size_t loops, Port port = Port::Free);

// The same for UDP.
std::vector<int> open_udp(const std::string& option, const std::optional<Endpoint>& endpoint,
                          std::size_t loops, Port port = Port::Free);

// The endpoint as it turned out, with the port that the kernel chose for port 0.
Endpoint endpoint_of(const std::vector<int>& descriptors, const Endpoint& wanted);

// Serves every client whom `admission` lets in, each by a task of its own on the loop, which holds
// its ticket. Those that a balancer connects for are admitted as who they are. Takes over the descriptor. REQUIRES: made on the loop's thread.
using Serve = std::function<Task<void>(std::unique_ptr<Socket>, std::shared_ptr<void> ticket)>;
std::unique_ptr<Listener> serve_clients(Loop& loop, int fd, Admission& admission, Serve serve);

// One loop's share of a port that may be moved or taken away while its clients go on.
class ServedPort {
 public:
  // These descriptors, one for each loop, in place of those it has; none: off. Nothing changes when
  // they are the same. As serve_clients().
  void take_up(Loop& loop, const std::vector<int>& descriptors, Admission& admission, Serve serve);
  // Who waits in the kernel's queue is served first.
  void close();

 private:
  std::vector<int> descriptors_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace weir
