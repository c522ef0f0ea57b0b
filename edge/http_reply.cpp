#include "edge/http_reply.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/wire/http1_chunked.h"
#include "common/wire/http1_conditional.h"
#include "edge/wall_clock.h"

namespace weir {

namespace {

constexpr std::string_view kPartial = "HTTP/1.1 206 Partial Content\r\n";
constexpr std::string_view kBlankLine = "\r\n";

std::string_view without_first_line(std::string_view head) {
  return head.substr(head.find("\r\n") + 2);
}

// Those of a 304 are for caches and scripts; what describes a body belongs to one.
bool belongs_to_not_modified(std::string_view name) {
  const bool describes = name.size() > 8 && http::same_ignoring_case(name.substr(0, 8), "Content-");
  return !describes || http::same_ignoring_case(name, "Content-Location");
}

// After the bytes of a chunk, if there are any, and at the body's end.
std::string_view chunk_end(bool after_bytes, bool last) {
  if (!last) return after_bytes ? "\r\n" : "";
  return after_bytes ? "\r\n0\r\n\r\n" : "0\r\n\r\n";
}

}  // namespace

bool has_no_content(int status) { return status == 204 || status == 304; }

void append_content_length(std::uint64_t length, std::string& out) {
  fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", length);
}

void append_own_fields(const OwnFields& own, std::string& out) {
  const auto age = std::chrono::floor<std::chrono::seconds>(own.age).count();
  const bool from_store = own.status.forwarded == http::CacheStatus::Forwarded::Hit;
  if (from_store || age > 0) fmt::format_to(std::back_inserter(out), "Age: {}\r\n", age);
  out += "Cache-Status: ";
  http::append_cache_status(own.cache_name, own.status, out);
  out += "\r\n";
  if (own.cors && !own.object.headers().has("Access-Control-Allow-Origin"))
    out += "Access-Control-Allow-Origin: *\r\n";
  if (!own.keep)
    out += "Connection: close\r\n";
  else if (own.client_version == 0)
    out += "Connection: keep-alive\r\n";
  out += kBlankLine;
}

HttpReply::HttpReply(http::ServerConnection& client, const http::Request& request,
                     HttpObjectRef object, const http::CacheStatus& status,
                     const HttpReplyOptions& options)
    : client_(client),
      request_(request),
      object_(std::move(object)),
      body_(*object_->body()),
      reader_(body_.read(0)),
      status_(status),
      options_(options),
      now_(client.loop().now()),
      keep_(http::keeps_alive(request)) {}

Task<bool> HttpReply::send() {
  const bool is_ok = object_->status() == 200;
  const http::Headers& asked = request_.headers;
  if (is_ok && http::not_modified(asked, object_->headers(), wall_clock())) {
    write_not_modified();
    client_.answered(304);
  } else {
    const auto range = is_ok && request_.method == "GET" ? asked.find("Range") : std::nullopt;
    if (range && http::range_applies(asked, object_->headers(), wall_clock())) {
      auto chosen = co_await choose_range();
      if (!chosen) co_return false;
    }
    if (unsatisfiable_)
      write_unsatisfiable();
    else
      write_head();
    client_.answered(unsatisfiable_ ? 416 : range_ ? 206 : object_->status());
    const bool bodiless =
        unsatisfiable_ || request_.method == "HEAD" || has_no_content(object_->status());
    if (!bodiless) {
      auto sent = co_await send_body();
      if (!sent) client_.failed(sent.error().code);
      co_return sent&& keep_;
    }
  }
  const HttpPortion head{.before = {first_line_, shared_head_, own_head_}};
  auto sent = co_await weir::send(client_.socket(), head, nullptr, options_.bytes, options_.stall);
  co_return sent&& keep_;
}

// Waits, if it must, until as much of the body has come as is asked for, or all of it: before that
// nobody knows what to announce.
Task<Result<void>> HttpReply::choose_range() {
  const auto wanted = http::parse_range(*request_.headers.find("Range"));
  if (!wanted) co_return Result<void>{};
  while (true) {
    const auto seen = body_.progress().now();
    const auto length = body_.length();
    if (length) {
      range_ = http::resolve(*wanted, *length);
      unsatisfiable_ = !range_;
      co_return Result<void>{};
    }
    if (body_.state() == HttpBody::State::Broken)
      co_return fail(Errc::Reset, "the origin ended the response too early");
    // Too large to be there as a whole at any time: the range is ignored.
    if (body_.is_let_go()) co_return Result<void>{};
    auto more = co_await await_more(seen);
    if (!more) co_return more;
  }
}

void HttpReply::add_own_fields() {
  append_own_fields({.object = *object_,
                     .age = object_->age(now_),
                     .status = status_,
                     .cache_name = options_.cache_name,
                     .cors = options_.cors,
                     .keep = keep_,
                     .client_version = request_.minor_version},
                    own_head_);
}

void HttpReply::write_head() {
  shared_head_ = object_->head();
  auto to = std::back_inserter(own_head_);
  const auto length = body_.length();
  if (range_) {
    first_line_ = kPartial;
    shared_head_ = without_first_line(shared_head_);
    fmt::format_to(to, "Content-Length: {}\r\nContent-Range: {}\r\n", range_->length,
                   http::content_range(range_, *length));
  } else if (length) {
    if (!has_no_content(object_->status())) append_content_length(*length, own_head_);
  } else if (request_.method != "HEAD") {
    chunked_ = request_.minor_version >= 1;
    if (chunked_)
      own_head_ += "Transfer-Encoding: chunked\r\n";
    else
      keep_ = false;
  }
  add_own_fields();
}

void HttpReply::write_not_modified() {
  http::Response response{.status = 304, .reason = std::string(http::reason_phrase(304))};
  for (const http::Header& field : object_->headers())
    if (belongs_to_not_modified(field.name)) response.headers.add(field.name, field.value);
  http::write(response, own_head_);
  own_head_.resize(own_head_.size() - kBlankLine.size());
  add_own_fields();
}

void HttpReply::write_unsatisfiable() {
  own_head_ =
      fmt::format("HTTP/1.1 416 {}\r\nContent-Length: 0\r\nContent-Range: {}\r\n",
                  http::reason_phrase(416), http::content_range(std::nullopt, *body_.length()));
  add_own_fields();
}

Task<Result<void>> HttpReply::send_body() {
  if (range_) reader_->advance(range_->first);
  HttpPortion portion{.before = {first_line_, shared_head_, own_head_}};
  std::string size_line;
  while (true) {
    const auto seen = body_.progress().now();
    const auto state = body_.state();
    std::uint64_t end = body_.size();
    if (range_) end = std::min(end, range_->end());
    portion.body = end > reader_->position() ? end - reader_->position() : 0;
    const bool all = state == HttpBody::State::Complete ||
                     (body_.length() && end == (range_ ? range_->end() : *body_.length()));
    if (chunked_) {
      size_line.clear();
      if (portion.body > 0) http::write_chunk_size(portion.body, size_line);
      // The head, if it is still to be sent, ends where the first chunk begins.
      portion.before[2] =
          portion.before[2].empty() ? std::string_view(size_line) : (own_head_ += size_line);
      portion.after = chunk_end(portion.body > 0, all);
    }
    auto sent =
        co_await weir::send(client_.socket(), portion, &*reader_, options_.bytes, options_.stall);
    if (!sent) co_return sent;
    portion.before = {};
    if (all) break;
    if (state == HttpBody::State::Broken)
      co_return fail(Errc::Reset, "the origin ended the response too early");
    auto more = co_await await_more(seen);
    if (!more) co_return more;
  }
  co_return Result<void>{};
}

Task<Result<void>> HttpReply::await_more(Broadcast::Ticket seen) {
  Loop& loop = client_.loop();
  Wait wait(loop);
  bool gone = false;
  const auto watch = client_.socket().when_gone([&] {
    gone = true;
    if (wait.waiting()) loop.resume_soon(wait.take_cancelled());
  });
  if (gone) co_return fail(Errc::Closed, "client left");
  auto more = co_await body_.progress().after(seen, wait, loop.in(options_.patience));
  co_return more;
}

}  // namespace weir
