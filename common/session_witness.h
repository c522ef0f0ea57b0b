// common/session_witness.h
// Who is told of clients as they come, get their first media and go: what metrics and the access log
// know of sessions and requests, they know from here.
//
// Threading: one for each loop, called there. Texts are the caller's until the call returns.
#pragma once

#include <string_view>

#include "common/io/timer.h"
#include "common/rate_meter.h"

namespace weir {

struct SessionFacts;

struct SessionEnd {
  const SessionFacts& facts;
  std::string_view id;      // as the control API knows it; empty for one that was refused
  std::string_view reason;  // an Errc's name
  Clock::duration lasted;
  Traffic traffic;
};

struct RequestEnd {
  const SessionFacts& facts;  // of its connection
  std::string_view id;
  std::string_view reason;  // "complete", or an Errc's name
  std::string_view method;
  std::string_view target;
  std::string_view agent;
  std::string_view page_url;
  int status = 0;  // 0: it was not answered
  Clock::duration lasted;
  Traffic traffic;
};

class SessionWitness {
 public:
  virtual ~SessionWitness() = default;

  // It has a stream from here on.
  virtual void began(const SessionFacts& facts) = 0;
  // Its first media is sent, so long after its client asked.
  virtual void joined(const SessionFacts& facts, Clock::duration wait) = 0;
  virtual void session_ended(const SessionEnd& end) = 0;

  // The first byte of the answer to a request is sent, so long after the request came.
  virtual void answered(Clock::duration wait) = 0;
  virtual void request_ended(const RequestEnd& end) = 0;
  // Whether it wants to know more of requests than how long they took; that costs.
  virtual bool wants_requests() const = 0;
};

}  // namespace weir
