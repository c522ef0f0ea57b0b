// proxy/system_sender.h
// Who asks the system API: the one who connected, or whom a trusted hop names.
//
// Threading: any thread. Bounds: take_client()'s.
#pragma once

#include <expected>
#include <string>

#include "common/io/admission.h"
#include "proxy/system_answer.h"

namespace Poco::Net {
class HTTPServerRequest;
}

namespace weir {

// An address. Empty when hops hide whose it is: then it is nobody's for whom anything is allowed by
// address. Errors: what to answer instead.
std::expected<std::string, SystemAnswer> sender_of(const Poco::Net::HTTPServerRequest& request,
                                                   const TrustedHops& hops);

}  // namespace weir
