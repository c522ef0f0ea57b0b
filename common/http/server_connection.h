// common/http/server_connection.h
// A client's connection, as whoever serves it sees it: request after request.
//
//     ServerConnection client(std::move(socket));
//     auto request = co_await client.read_request();
//     if (!request) { co_await client.refuse_with(request.error()); co_return; }
//     auto sent = co_await client.respond(simple_response(200, "text/plain", "hello"));
//
// It is in the list of live sessions, with the stream whose playlist or live pipe was asked for last,
// and the loop's witness hears of each request when it is over.
// While the node goes away each answer is the connection's last one.
//
// A connection of a trusted hop has the peer that each request is for, for as long as it is served.
//
// Threading and bounds: Connection's. Requests that are sent ahead wait in the kernel.
#pragma once

#include <optional>

#include "common/http/connection.h"
#include "common/http/request_record.h"
#include "common/io/admission.h"
#include "common/live_session.h"

namespace weir::http {

struct ServerTimes {
  milliseconds head{10'000};   // for a whole head; of the first request, from now on
  milliseconds idle{30'000};   // between requests
  milliseconds write{10'000};  // for an answer of our own
};

class ServerConnection final : public Connection {
 public:
  // `admission` knows the hops, and outlives this; null: there are none.
  explicit ServerConnection(std::unique_ptr<Socket> socket, ServerTimes times = {},
                            const Limits& limits = {}, Admission* admission = nullptr);
  ~ServerConnection();

  // The body, if any, is for the caller to read; unless it did, no further request is given. A
  // refusal with status 0 is the ordinary end of a connection, or of its peer: there is nothing to
  // answer.
  Task<Parsed<Request>> read_request();

  // Who connected: the client, or the last hop before us.
  const Address& sender() const { return sender_; }
  // What counts the client among those of its address; null when the sender is the client.
  std::shared_ptr<void> place() const { return place_; }

  // Null once it is in no list any more, or the socket has been taken.
  LiveSession* session() { return session_ ? &*session_ : nullptr; }
  // For connections that are no clients of any stream.
  void unlist() { session_.reset(); }
  // What is served from here on is told of by whoever takes it.
  std::unique_ptr<Socket> take_socket() {
    record_.drop();
    session_.reset();
    return Connection::take_socket();
  }

  // For the record: what the present request is answered with, past respond(), and why the answer
  // did not reach its end.
  void answered(int status);
  void failed(Errc why) { record_.failed(why); }
  // Nobody is told of the present request.
  void forget_request() { record_.drop(); }
  // When the present request came.
  Clock::time_point asked() const { return asked_; }

  Task<Result<void>> respond(std::string bytes);
  // Answers with the refusal's status, if it has one, and ends the connection.
  Task<void> refuse_with(Refusal why);
  // Sends our end, then waits for the client's a little, so that bytes of its under way do not make
  // the kernel take our answer back (RFC 9112 9.6).
  Task<void> close_gently();

 private:
  void note(Request& request);
  Parsed<void> learn_client(Request& request);
  void end_record();

  ServerTimes times_;
  RequestReader reader_;
  Admission* const admission_;
  const Address sender_;
  std::shared_ptr<void> place_;
  std::optional<LiveSession> session_;
  RequestRecord record_;
  Clock::time_point asked_;
  bool first_ = true;
};

}  // namespace weir::http
