// common/port_opener.h
// Gets the ports that a configuration wants: what is open already stays as it is, the rest is opened.
//
// Never is a port closed and opened again: who waits in the kernel's queue of a socket is reset with
// it. So a port that has not changed is the same sockets before and after a reload, and before and
// after an upgrade, where two processes hold them.
//
// Threading: one thread. Bounds: the configuration's.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/listening.h"

namespace weir {

// By option, transport and address as configured: "listen.rtmp tcp 127.0.0.1:0".
using OpenPorts = std::map<std::string, std::vector<int>>;

class PortOpener {
 public:
  // `known` stay whoever's they are.
  explicit PortOpener(std::size_t loops, OpenPorts known = {})
      : loops_(loops), known_(std::move(known)) {}
  // Closes what it opened, unless that was kept.
  ~PortOpener();
  PortOpener(const PortOpener&) = delete;
  PortOpener& operator=(const PortOpener&) = delete;

  // As open_tcp() and open_udp().
  std::vector<int> tcp(const std::string& option, const std::optional<Endpoint>& endpoint);
  std::vector<int> udp(const std::string& option, const std::optional<Endpoint>& endpoint);
  // One descriptor for all threads.
  std::vector<int> single(const std::string& option, const std::optional<Endpoint>& endpoint);

  // All that were asked for, known or opened: from here on the caller's.
  OpenPorts keep();

 private:
  template <class Open>
  std::vector<int> have(const std::string& option, const char* transport,
                        const std::optional<Endpoint>& endpoint, std::size_t count, Open open);
  bool held(const char* transport, std::uint16_t port) const;

  const std::size_t loops_;
  const OpenPorts known_;
  OpenPorts asked_;
  std::vector<int> opened_;
};

// Closes what `before` has and `after` has not.
void close_others(const OpenPorts& before, const OpenPorts& after);

}  // namespace weir
