// edge/token_traverse.h
// Asks upstream whether a viewer may, before that viewer is served from what is here: with the same
// stream and the same arguments, as the viewer itself would.
//
//     RTMP           connect and play, up to the verdict
//     over HTTP      GET of the same target, up to the status
//
// Where an upstream does not offer the viewer's protocol the other one is used. That a stream is not
// there is no refusal: who serves it finds out by itself.
//
// Threading: one loop's. Bounds: one connection a question, with a deadline; Access asks one question
// at a time for the same stream and arguments, and remembers the verdict.
#pragma once

#include "common/access/access_request.h"
#include "edge/edge_options.h"
#include "proxy/http_relay.h"

namespace weir {

class TokenTraverse {
 public:
  struct Context {
    Loop& loop;
    const EdgeOptions& options;
    Routing& routing;
    Resolver& resolver;
    HttpRelay& relay;  // whose connections are used
  };
  using Verdict = std::optional<AccessRefusal>;  // nothing: yes

  explicit TokenTraverse(Context context) : context_(context) {}

  Task<Verdict> ask(AccessRequest request);

 private:
  // Errors: nobody answered.
  Task<Result<Verdict>> ask_rtmp(AccessRequest request);
  Task<Result<Verdict>> ask_http(AccessRequest request);
  Task<Result<Verdict>> play(Dialed dialed, AccessRequest request);

  Context context_;
};

}  // namespace weir
