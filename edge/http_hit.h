// edge/http_hit.h
// The plainest answer, and by far the most frequent one: all of an object that is fresh and whole
// in memory, to a GET without conditions. Given at once: without a coroutine, without an allocation,
// in one write. Whatever is not as plain is for HttpVisit.
//
// Threading: the loop of the clients. Bounds: one key and one head, whose memory is used again.
#pragma once

#include "edge/http_cache.h"
#include "edge/http_portion.h"

namespace weir {

class HttpHit {
 public:
  explicit HttpHit(const HttpCache::Context& context) : context_(context) {}

  // What the kernel did not take yet.
  struct Rest {
    HttpObjectRef object;
    HttpBody::Reader reader;
    std::string head;
    std::uint64_t body;
  };
  struct Answer {
    bool keep;                   // the connection may carry another request
    std::unique_ptr<Rest> rest;  // null: all is sent
  };
  // Nothing: it is not that plain.
  std::optional<Answer> answer(http::ServerConnection& client, const http::Request& request);

  // Whether all could be sent.
  Task<bool> send(http::ServerConnection& client, std::unique_ptr<Rest> rest);

 private:
  const HttpCache::Context& context_;
  std::string key_;
  std::string head_;
};

}  // namespace weir
