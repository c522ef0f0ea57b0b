// edge/http_reply.h
// Sends one object to one client: whole, a range of it, its head alone, or 304.
//
// A complete object goes out in one sendmsg of its head, a few lines of our own, and its blocks: no
// byte of it is copied on this side of the kernel. One that still arrives is sent as it comes, in
// chunks when nobody knows its length yet.
//
// Threading: the client's loop; the body may be written by another. Bounds: a few hundred bytes.
#pragma once

#include "cache/http_store.h"
#include "common/http/server_connection.h"
#include "common/wire/http1_cache_status.h"
#include "common/wire/http1_range.h"
#include "edge/http_portion.h"

namespace weir {

// What a reply from the cache says of its own, beside the object's fields.
struct OwnFields {
  const HttpObject& object;
  milliseconds age;
  const http::CacheStatus& status;
  std::string_view cache_name;
  bool cors;
  bool keep;
  int client_version;  // the minor one
};
// With the blank line.
void append_own_fields(const OwnFields& fields, std::string& out);
void append_content_length(std::uint64_t length, std::string& out);
// Whether responses of that status never have a body.
bool has_no_content(int status);

struct HttpReplyOptions {
  std::string_view cache_name;  // in Cache-Status
  milliseconds stall;
  milliseconds patience;  // for more of a body
  bool cors;
  Tally& bytes;
};

class HttpReply {
 public:
  // `client` and `request` must outlive it.
  HttpReply(http::ServerConnection& client, const http::Request& request, HttpObjectRef object,
            const http::CacheStatus& status, const HttpReplyOptions& options);

  // The object has not been let go meanwhile. From now on what send() needs of it is held.
  bool readable() const { return reader_.has_value(); }
  // Whether the connection may carry another request. REQUIRES: readable().
  Task<bool> send();

 private:
  Task<Result<void>> choose_range();
  void write_head();
  void write_not_modified();
  void write_unsatisfiable();
  void add_own_fields();
  Task<Result<void>> send_body();
  // Until the body has gone on from `seen`, or the client leaves.
  Task<Result<void>> await_more(Broadcast::Ticket seen);

  http::ServerConnection& client_;
  const http::Request& request_;
  const HttpObjectRef object_;
  const HttpBody& body_;
  std::optional<HttpBody::Reader> reader_;
  const http::CacheStatus status_;
  const HttpReplyOptions options_;
  const Clock::time_point now_;

  bool keep_;
  bool chunked_ = false;
  bool unsatisfiable_ = false;
  std::optional<http::Extent> range_;  // of a 206
  std::string_view first_line_;        // in place of the object's
  std::string_view shared_head_;       // the object's fields
  std::string own_head_;               // this reply's, and the blank line
};

}  // namespace weir
