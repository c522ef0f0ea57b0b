// edge/http_fetch.h
// Asks the origin on behalf of a fill, and brings what it answers into the store.
//
// A stored response that has a validator is only asked about; a 304 makes it new again. A response
// that is not for everybody is handed over to the one who asked first; if they have left meanwhile,
// it goes.
//
// Threading: the loop that began it. It refers to its loop's cache, not to who began it.
// Bounds: object_max: what turns out larger is passed through to those who read it, at the speed of
// the slowest, and not kept.
#pragma once

#include "edge/http_cache.h"
#include "proxy/http_call.h"

namespace weir {

// Between a fetch and the one who began it, on one loop.
struct HttpHandover {
  bool wanted = true;                // the asker still waits
  std::optional<HttpAnswer> answer;  // what is theirs alone
};

class HttpFetch {
 public:
  struct Order {
    HttpFillRef fill;
    bool shared = true;   // others wait for it; else it is asked just as the client asks
    HttpObjectRef stale;  // what there is already; may be null
    HttpCall::Question question;
    bool blocking = false;          // the origin answers once what is asked for exists (_HLS_msn)
    bool only_with_length = false;  // what has no announced end is not kept: it may be a live pipe
    std::shared_ptr<HttpHandover> handover;
  };

  // Settles the fill, and ends when the body has come.
  static Task<void> run(HttpCache::Context context, Order order);

 private:
  HttpFetch(HttpCache::Context context, Order order);

  Task<void> fetch();
  Task<bool> look_in_tier();
  void ask_about_stale();
  void failed(Error why);
  bool fall_back_on_stale();
  HttpObjectRef freshened(const http::Response& response);
  HttpObjectRef learn_from_head(const http::Response& response);
  HttpObjectRef keep(const http::Response& response, http::BodyFraming framing);
  void settle(HttpObjectRef object, HttpFill::Came came);
  void hand_over(HttpAnswer answer);
  Task<void> receive(HttpAnswer answer, HttpObjectRef object);
  Task<void> let_askers_begin();
  Task<bool> wait_for_readers(HttpBody& body);
  void complete(const HttpObjectRef& object);

  HttpCache::Context context_;
  Order order_;
  http::Request asked_;  // as the client asked, for what Vary and Authorization mean
  bool validating_ = false;
  Clock::time_point asked_at_;
};

}  // namespace weir
