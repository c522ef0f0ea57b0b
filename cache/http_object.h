// cache/http_object.h
// One stored response: its head, ready to be sent, and its body.
//
// A 304 that freshens it makes a new object around the same body, so whoever is sending the old one
// is not disturbed.
//
// Threading: immutable, but for the body that arrives and for settle(), which the loop that fetches
// it calls once. Bounds: counted in the `memory` of the cache while it lives.
#pragma once

#include <string>
#include <vector>

#include "cache/http_body.h"
#include "cache/http_policy.h"
#include "common/io/timer.h"

namespace weir {

// What a response depends on beside its key: the fields that Vary names, with the values that the
// request had (RFC 9111 4.1). In the order of Vary, repeated fields joined.
using VaryValues = std::vector<http::Header>;

VaryValues vary_values(const http::Headers& response, const http::Headers& request);
// Whether `request` selects what was stored under these values.
bool matches(const VaryValues& values, const http::Headers& request);

class HttpObject {
 public:
  struct Parts {
    http::Response response;  // after clean_for_storing()
    VaryValues vary;
    HttpKind kind = HttpKind::Other;
    HttpFreshness freshness;
    Clock::time_point received;
    std::shared_ptr<HttpBody> body;
  };

  HttpObject(Parts parts, std::shared_ptr<MemoryUse> memory);
  ~HttpObject();
  HttpObject(const HttpObject&) = delete;
  HttpObject& operator=(const HttpObject&) = delete;

  int status() const { return parts_.response.status; }
  const http::Headers& headers() const { return parts_.response.headers; }
  const VaryValues& vary() const { return parts_.vary; }
  HttpKind kind() const { return parts_.kind; }
  Clock::time_point received() const { return parts_.received; }
  const std::shared_ptr<HttpBody>& body() const { return parts_.body; }
  // First line and fields with their CRLFs, but for Content-Length and Age, which depend on when it
  // is sent, and without the blank line.
  std::string_view head() const { return head_; }

  milliseconds age(Clock::time_point now) const;
  HttpFreshness freshness() const;
  // The body has told what lifetime depends on.
  void settle(const HttpFreshness& freshness);

  std::size_t memory() const { return overhead_ + parts_.body->memory(); }

 private:
  const Parts parts_;
  const std::shared_ptr<MemoryUse> memory_;
  std::string head_;
  std::size_t overhead_ = 0;
  std::atomic<milliseconds::rep> lifetime_;
  std::atomic<milliseconds::rep> stale_if_error_;
};

using HttpObjectRef = std::shared_ptr<HttpObject>;

}  // namespace weir
