// common/http/request_record.h
// One request as its loop's witness is told of it when it is over: how long it took, what it was
// answered with, what it moved. A connection has one record, for one request after another.
//
// Threading: its connection's loop. Bounds: texts of peers are cut as LiveSession cuts them.
#pragma once

#include <optional>
#include <string>

#include "common/live_session.h"
#include "common/session_witness.h"
#include "common/wire/http1_head.h"

namespace weir::http {

class RequestRecord {
 public:
  // Null witness: nobody is told of anything.
  RequestRecord(SessionWitness* witness, const Socket& socket)
      : witness_(witness), socket_(socket) {}

  void begin(const Request& request, Clock::time_point now);
  // What came was no request.
  void begin_without_one(Clock::time_point now);
  // The answer's head is sent now; of several the first final one counts.
  void answered(int status);
  // Why it is not complete; the first reason counts.
  void failed(Errc why);
  // Nothing more comes of it. Does nothing when none is open.
  // `ended`: who ended its connection, if it was not the client.
  void end(const SessionFacts& facts, std::string_view id, const std::optional<Error>& ended);
  // It is told of by others.
  void drop() { open_ = false; }
  bool open() const { return open_; }

 private:
  SessionWitness* const witness_;
  const Socket& socket_;
  bool open_ = false;
  int status_ = 0;
  std::optional<Errc> why_;
  Clock::time_point began_;
  Traffic before_;  // of the connection, at the end of the last request
  std::string method_;
  std::string target_;
  std::string agent_;
  std::string page_url_;
};

// Of a response that is already bytes; 0 when it is none, or only an interim one.
int final_status(std::string_view head);

}  // namespace weir::http
