#include "common/http/h2_session.h"

#include <nghttp2/nghttp2.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/check.h"
#include "common/log.h"
#include "common/sessions.h"

namespace weir::http {
namespace {

constexpr std::size_t kReceivePiece = 16 * 1024;
constexpr int kRoundsPerTurn = 16;
constexpr milliseconds kLookAround{1000};
// A frame with its head fills a TLS record.
constexpr std::size_t kMostData = 16384 - 9;

// For batches that go out whole, which is most of them.
thread_local ByteBuffer t_batch;

H2Stream& stream_of(nghttp2_data_source* source) { return *static_cast<H2Stream*>(source->ptr); }

}  // namespace

struct H2Session::Callbacks {
  static H2Session& of(void* user) { return *static_cast<H2Session*>(user); }

  static ssize_t send(nghttp2_session*, const std::uint8_t* data, std::size_t length, int,
                      void* user) {
    H2Session& self = of(user);
    if (self.staged_.size() >= kBatch) return NGHTTP2_ERR_WOULDBLOCK;
    append(self.staged_, ByteView(data, length));
    return static_cast<ssize_t>(length);
  }

  static int send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* head,
                       std::size_t length, nghttp2_data_source* source, void* user) {
    H2Session& self = of(user);
    if (self.staged_.size() >= kBatch) return NGHTTP2_ERR_WOULDBLOCK;
    H2Stream& stream = stream_of(source);
    append(self.staged_, ByteView(head, 9));
    append(self.staged_, stream.to_send().first(length));
    stream.sent(length);
    stream.moved = self.loop_.now();
    return 0;
  }

  static ssize_t read_data(nghttp2_session* session, std::int32_t id, std::uint8_t*,
                           std::size_t length, std::uint32_t* flags, nghttp2_data_source* source,
                           void*) {
    H2Stream& stream = stream_of(source);
    const std::size_t ready = stream.to_send().size();
    if (ready == 0 && !stream.complete()) return NGHTTP2_ERR_DEFERRED;
    const std::size_t size = std::min({ready, length, kMostData});
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (stream.complete() && size == ready) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      // RFC 9113 8.1: what the client has not sent yet is not wanted.
      if (!stream.request_ended())
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
    }
    return static_cast<ssize_t>(size);
  }

  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2Session& self = of(user);
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    if (*self.alive_ >= 2 * kMostStreams) {
      self.trifle();
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    const std::int32_t id = frame->hd.stream_id;
    H2Streams& streams = self;
    auto stream = std::make_unique<H2Stream>(streams, id);
    stream->moved = self.loop_.now();
    self.streams_[id] = std::move(stream);
    return 0;
  }

  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_length, const std::uint8_t* value, std::size_t value_length,
                    std::uint8_t, void* user) {
    H2Stream* stream = of(user).stream(frame->hd.stream_id);
    if (stream == nullptr || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    stream->fields.add({reinterpret_cast<const char*>(name), name_length},
                       {reinterpret_cast<const char*>(value), value_length});
    return 0;
  }

  static int frame_received(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2Session& self = of(user);
    const bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    H2Stream* stream = self.stream(frame->hd.stream_id);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        if (stream == nullptr) return 0;
        if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
          self.requested(*stream, frame->hd.stream_id, !last);
        else if (last)
          stream->end_request();
        return 0;
      case NGHTTP2_DATA:
        if (stream != nullptr && last) stream->end_request();
        if (frame->hd.length == 0) self.trifle();
        return 0;
      case NGHTTP2_RST_STREAM:
      case NGHTTP2_PING:
      case NGHTTP2_SETTINGS:
      case NGHTTP2_PRIORITY: self.trifle(); return 0;
      default: return 0;
    }
  }

  static int invalid_frame(nghttp2_session*, const nghttp2_frame*, int, void* user) {
    of(user).trifle();
    return 0;
  }

  static int data_chunk(nghttp2_session* session, std::uint8_t, std::int32_t id,
                        const std::uint8_t* data, std::size_t length, void* user) {
    // One stream that is not read must not stop the others.
    nghttp2_session_consume_connection(session, length);
    if (H2Stream* stream = of(user).stream(id)) stream->feed({data, length});
    return 0;
  }

  static int stream_closed(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
    of(user).went(id);
    return 0;
  }

  static nghttp2_session* session_for(H2Session& self) {
    nghttp2_session_callbacks* calls = nullptr;
    nghttp2_option* option = nullptr;
    nghttp2_session* made = nullptr;
    INVARIANT(nghttp2_session_callbacks_new(&calls) == 0 && nghttp2_option_new(&option) == 0);
    nghttp2_session_callbacks_set_send_callback(calls, send);
    nghttp2_session_callbacks_set_send_data_callback(calls, send_data);
    nghttp2_session_callbacks_set_on_begin_headers_callback(calls, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(calls, header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, frame_received);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(calls, invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, stream_closed);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    INVARIANT(nghttp2_session_server_new2(&made, calls, &self, option) == 0);
    nghttp2_session_callbacks_del(calls);
    nghttp2_option_del(option);
    return made;
  }
};

H2Session::H2Session(std::unique_ptr<Socket> client, std::shared_ptr<void> ticket, Serve serve,
                     milliseconds stall)
    : loop_(client->loop()),
      peer_(client->peer()),
      wire_(client->release()),
      ticket_(std::move(ticket)),
      serve_(std::move(serve)),
      stall_(stall),
      session_(Callbacks::session_for(*this)),
      trifled_(loop_.now()),
      progress_(loop_.now()),
      done_(loop_),
      live_(
          {.protocol = "h2", .peer = peer_}, [fd = wire_.fd] { return traffic_of(fd); },
          [this] { say_goodbye(NGHTTP2_NO_ERROR, *live_.ended()); }) {
  INVARIANT(wire_.transport);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMostStreams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2Stream::kReceiveWindow},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, RequestFields::kMost}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  live_.set_idle(true);
  wire_.transport->watch(loop_, *this);
  look_around();
}

H2Session::~H2Session() {
  wire_.transport->unwatch(loop_, *this);
  for (auto& [id, stream] : streams_) stream->cut();
  nghttp2_session_del(session_);
  wire_.transport->close();
}

Task<Error> H2Session::run() {
  // What came with the last bytes of the handshake is in the transport.
  receive();
  pump();
  if (!over_) {
    auto woken = co_await done_.until(Deadline::max());
    if (!woken && !over_) over_ = woken.error();
  }
  // Servers learn of it here, while their streams can still tell them.
  for (auto& [id, stream] : streams_) {
    stream->cut();
    gone_.push_back(std::move(stream));
  }
  streams_.clear();
  while (dispatch()) {
  }
  co_return *over_;
}

H2Stream* H2Session::stream(std::int32_t id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.get();
}

// -------------------------------------------------------------------------------- from the client

void H2Session::on_ready(std::uint32_t events) {
  if (over_) return;
  if ((events & EPOLLOUT) != 0 && wire_.transport->holds()) {
    if (auto flushed = wire_.transport->flush(); !flushed) return end(flushed.error());
    progress_ = loop_.now();
  }
  receive();
  pump();
}

void H2Session::receive() {
  const auto piece = loop_.scratch().first(kReceivePiece);
  while (!over_) {
    auto got = wire_.transport->read(piece);
    if (!got) return end(got.error());
    if (*got == 0) return;
    const auto taken = nghttp2_session_mem_recv(session_, piece.data(), *got);
    if (taken < 0)
      return say_goodbye(NGHTTP2_PROTOCOL_ERROR,
                         {Errc::Protocol, nghttp2_strerror(static_cast<int>(taken))});
  }
}

void H2Session::requested(H2Stream& asked, std::int32_t id, bool has_body) {
  auto begun = asked.fields.too_large() ? fail(Errc::Limit, "") : asked.begin(has_body);
  if (begun) {
    born_.push_back(id);
    return;
  }
  // Before anybody serves it. Of a body that comes all the same the stream dies when it is stalled.
  submit(id, {.status = begun.error().code == Errc::Limit ? 431 : 400});
}

void H2Session::went(std::int32_t id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  found->second->cut();
  gone_.push_back(std::move(found->second));
  streams_.erase(found);
  progress_ = loop_.now();
  if (streams_.empty()) live_.set_idle(true);
}

void H2Session::trifle() {
  const std::chrono::duration<double> passed = loop_.now() - trifled_;
  trifled_ = loop_.now();
  trifles_ = std::min(kTrifles, trifles_ + passed.count() * kTriflesPerSecond) - 1;
  if (trifles_ < 0)
    say_goodbye(NGHTTP2_ENHANCE_YOUR_CALM, {Errc::Limit, "frames that only cost work"});
}

// -------------------------------------------------------------------------------- towards the client

void H2Session::submit(std::int32_t id, const Response& response) {
  H2Stream* const asked = stream(id);
  if (asked == nullptr) return;
  const FieldList fields = response_fields(response);
  std::vector<nghttp2_nv> list;
  list.reserve(fields.size());
  for (const auto& [name, value] : fields)
    list.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                    reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(),
                    value.size(), NGHTTP2_NV_FLAG_NONE});
  nghttp2_data_provider body{.source = {.ptr = asked}, .read_callback = Callbacks::read_data};
  const bool served = asked->transport != nullptr;
  nghttp2_submit_response(session_, id, list.data(), list.size(), served ? &body : nullptr);
  if (!pumping_) loop_.at_turn_end(*this);
}

void H2Session::resume(std::int32_t id) {
  nghttp2_session_resume_data(session_, id);
  if (!pumping_) loop_.at_turn_end(*this);
}

void H2Session::reset(std::int32_t id) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
  if (!pumping_) loop_.at_turn_end(*this);
}

void H2Session::consumed(std::int32_t id, std::size_t bytes) {
  nghttp2_session_consume_stream(session_, id, bytes);
  if (!pumping_) loop_.at_turn_end(*this);
}

void H2Session::notify(std::int32_t id, std::uint32_t events) {
  news_.emplace_back(id, events);
  if (!pumping_) loop_.at_turn_end(*this);
}

void H2Session::pump() {
  if (pumping_ || over_) return;
  pumping_ = true;
  int rounds = 0;
  bool more = true;
  while (more && !over_ && rounds++ < kRoundsPerTurn) {
    serve_new();
    const bool sent = send();
    const bool told = dispatch();
    more = sent || told || !born_.empty();
  }
  pumping_ = false;
  if (over_) return;
  if (more) loop_.arm(*this, loop_.now());
  const bool all_said = nghttp2_session_want_read(session_) == 0 &&
                        nghttp2_session_want_write(session_) == 0 && staged_.empty();
  if (all_said && !wire_.transport->holds())
    end(leaving_ ? leave_why_ : Error{Errc::Closed, "client left"});
}

// Whether anything went.
bool H2Session::send() {
  Transport& out = *wire_.transport;
  if (out.holds()) return false;
  if (staged_.empty()) std::swap(staged_, t_batch);
  const int outcome = nghttp2_session_send(session_);
  if (outcome != 0) {
    end({Errc::Protocol, nghttp2_strerror(outcome)});
    return false;
  }
  if (staged_.empty()) {
    std::swap(staged_, t_batch);
    return false;
  }
  const iovec piece{.iov_base = staged_.data(), .iov_len = staged_.size()};
  auto sent = out.write({&piece, 1});
  if (!sent) {
    end(sent.error());
    return false;
  }
  staged_.erase(staged_.begin(), staged_.begin() + static_cast<std::ptrdiff_t>(*sent));
  if (staged_.empty()) std::swap(staged_, t_batch);
  if (*sent > 0) progress_ = loop_.now();
  return *sent > 0;
}

void H2Session::serve_new() {
  for (const std::int32_t id : std::exchange(born_, {})) {
    H2Stream* const asked = stream(id);
    if (asked == nullptr) continue;
    live_.set_idle(false);
    auto transport = std::make_unique<H2Transport>(*asked, alive_);
    loop_.spawn(
        serve_(std::make_unique<Socket>(loop_, wire_.fd, peer_, std::move(transport)), ticket_));
  }
}

// Whether there was anything to tell.
bool H2Session::dispatch() {
  const auto news = std::exchange(news_, {});
  const auto gone = std::exchange(gone_, {});
  for (const auto& [id, events] : news)
    if (H2Stream* const about = stream(id); about != nullptr && about->watcher != nullptr)
      about->watcher->on_ready(events);
  for (const auto& about : gone)
    if (about->watcher != nullptr)
      about->watcher->on_ready(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
  return !news.empty() || !gone.empty();
}

// -------------------------------------------------------------------------------- the end

void H2Session::expired() {
  if (over_) return;
  const auto silent = loop_.now() - progress_;
  const bool stuck = wire_.transport->holds() || !staged_.empty();
  if (stuck && silent >= stall_) return end({Errc::Timeout, "client took nothing"});
  // Those whose header block does not end, and whose answer waits for a window: a server that is there
  // has a deadline of its own.
  for (const auto& [id, stream] : streams_)
    if (stream->transport == nullptr && loop_.now() - stream->moved >= stall_)
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  if (streams_.empty() && silent >= kIdle)
    say_goodbye(NGHTTP2_NO_ERROR, {Errc::Closed, "nothing was asked for"});
  const Sessions* all = Sessions::current();
  if (all != nullptr && all->draining() && streams_.empty())
    say_goodbye(NGHTTP2_NO_ERROR, {Errc::Cancelled, "going away"});
  pump();
  if (!armed()) look_around();
}

void H2Session::look_around() { loop_.arm(*this, loop_.in(std::min(kLookAround, stall_))); }

void H2Session::say_goodbye(std::uint32_t code, Error why) {
  if (over_ || leaving_) return;
  leaving_ = true;
  leave_why_ = std::move(why);
  nghttp2_session_terminate_session(session_, code);
  if (!pumping_) loop_.at_turn_end(*this);
}

void H2Session::end(Error why) {
  if (over_) return;
  over_ = std::move(why);
  if (done_.waiting()) loop_.resume_soon(done_.take_ready());
}

Task<void> serve_http2(std::unique_ptr<Socket> client, std::shared_ptr<void> ticket, Serve serve,
                       milliseconds stall) {
  const std::string peer = client->peer().text();
  H2Session session(std::move(client), std::move(ticket), std::move(serve), stall);
  const Error why = co_await session.run();
  log::debug("HTTP/2 connection ended",
             {{"peer", peer}, {"reason", name(why.code)}, {"error", why.text}});
}

}  // namespace weir::http
