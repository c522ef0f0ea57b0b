// proxy/access/access_requests.h
// What Access is asked, out of what clients say in each protocol; and how they are told no.
//
// Threading: pure functions. Bounds: the requests'.
#pragma once

#include "common/access/access_request.h"
#include "common/rtmp/server.h"
#include "common/stream_key.h"
#include "common/wire/http1.h"
#include "common/wire/srt.h"

namespace weir {

// A session of that stream and no other.
AccessRequest access_to_stream(AccessAction action, std::string_view protocol, std::string key,
                               std::string query, const Address& peer, std::string id);
AccessRequest access_of(const rtmp::Request& request, const StreamName& name, const Address& peer,
                        const std::string& id);
// Of a stream that is played over HTTP without end.
AccessRequest access_to_pipe(const http::Request& request, std::string_view protocol,
                             const std::string& key, const Address& peer, const std::string& id);
// Of a file of whatever stream; `key` is its route key.
AccessRequest access_to_file(const http::Request& request, const std::string& key,
                             const Address& peer, const std::string& id);

// The whole answer to a request over HTTP, with a line for people.
std::string refusal_response(const AccessRefusal& refusal, const http::Request& request,
                             http::Headers headers);
// With what 401 wants (RFC 9110 15.5.2).
void add_challenge(const AccessRefusal& refusal, http::Headers& headers);
srt::Rejection srt_rejection_of(const AccessRefusal& refusal);

}  // namespace weir
