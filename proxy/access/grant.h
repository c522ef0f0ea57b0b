// proxy/access/grant.h
// The permission of one session, which holds it for as long as it lives. Those who asked hear of its
// end: callbacks of on_unpublish or on_stop, then of on_close; and the stream has a seat more.
//
// Threading: may end on any thread. Bounds: a pointer, null for a session that nobody follows,
// and a number.
#pragma once

#include <cstdint>
#include <memory>

#include "common/rate_meter.h"

namespace weir {

class Grant {
 public:
  Grant();
  Grant(Grant&& other) noexcept;
  Grant& operator=(Grant&& other) noexcept;
  ~Grant();

  // What on_close is to tell.
  void count(const Traffic& traffic);
  // When the session is to end, in seconds since 1970; 0: that is up to it. For SessionFacts.
  std::int64_t expires() const { return expires_; }

 private:
  friend class Access;
  struct State;
  void end();

  std::unique_ptr<State> state_;
  std::int64_t expires_ = 0;
};

}  // namespace weir
