// proxy/host_addresses.h
// The addresses at which others can reach this host.
//
// Threading: any. Bounds: the host's interfaces.
#pragma once

#include <vector>

#include "common/io/address.h"

namespace weir {

// Of interfaces that are up, without loopback and link-local ones; ports are 0.
std::vector<Address> host_addresses();

}  // namespace weir
