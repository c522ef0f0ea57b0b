// proxy/access/hook_caller.h
// Puts questions and news to callbacks, over connections that stay open; over TLS to those whose
// certificate is trusted and for their host.
//
// However many clients come at once, at most kAtOnce requests of a loop are under way; the others
// wait their turn, within their own deadline.
//
// Threading: one loop's. Bounds: kAtOnce connections and those of an HttpUpstreamPool; answers of
// kMaxAnswer.
#pragma once

#include "common/io/gate.h"
#include "common/io/resolver.h"
#include "proxy/access/hook.h"
#include "proxy/http_upstream_pool.h"

namespace weir {

class HookCaller {
 public:
  static constexpr int kAtOnce = 64;
  static constexpr std::size_t kMaxAnswer = 64 * 1024;

  explicit HookCaller(Loop& loop) : resolver_(loop), pool_(loop), free_(loop) {}

  // Whether the answer is yes. Errors: there was none in time, or a status from 500 on.
  Task<Result<bool>> post(HookUrl url, std::string body, milliseconds timeout);
  // The same of all URLs, one after the other, each with its retries; the first no is the answer.
  Task<Result<bool>> ask_all(std::vector<HookUrl> urls, std::string body, milliseconds timeout,
                             int retries);

 private:
  Task<Result<bool>> post_now(HookUrl url, std::string body, Deadline deadline);
  Task<Result<HttpUpstreamPool::Connection>> connect(HookUrl url, Deadline deadline);
  Task<Result<http::Response>> talk(http::ClientConnection& connection, HookUrl url,
                                    std::string body, Deadline deadline);

  Resolver resolver_;
  HttpUpstreamPool pool_;
  Gate free_;
  int under_way_ = 0;
};

}  // namespace weir
