// common/listening.h
// Opening the ports that the configuration names, before anything runs: a port
// that cannot be had is the operator's mistake, told in one line.
#pragma once

#include <string>
#include <vector>

#include "common/endpoint.h"
#include "common/io/listener.h"

namespace weir {

// A TCP port shared by `loops` loops: one descriptor for each. Empty when there is no endpoint. An
// empty host is every address of this machine. Throws ConfigError with `option` and the address.
std::vector<int> open_tcp(const std::string& option, const std::optional<Endpoint>& endpoint,
                          std::size_t loops);

// The endpoint as it turned out, with the port that the kernel chose for port 0.
Endpoint endpoint_of(const std::vector<int>& descriptors, const Endpoint& wanted);

}  // namespace weir
