#include "proxy/rtsp_call.h"

namespace weir {

namespace {

bool succeeded(const rtsp::Message& answer) { return answer.status / 100 == 2; }

// What any origin may be asked, whatever has been said to another.
bool stands_alone(std::string_view method) {
  return method == "OPTIONS" || method == "DESCRIBE" || method == "ANNOUNCE";
}

bool binds(std::string_view method) {
  return method == "DESCRIBE" || method == "ANNOUNCE" || method == "SETUP";
}

bool broke(Errc why) { return why == Errc::Closed || why == Errc::Reset; }

}  // namespace

Task<Result<rtsp::Message>> RtspCall::ask(rtsp::Message request, RtspTarget target) {
  if (target.key != target_.key) begin_anew();
  target_ = std::move(target);
  missing_.reset();
  const bool may_move = !connected() || stands_alone(request.method);
  std::optional<Error> last;
  while (true) {
    if (!connected()) {
      if (!dialer_) {
        dialer_.emplace(context_.routing, context_.resolver, target_.key, Protocol::Rtsp,
                        context_.options.dial);
        dialer_->connect_for(ClientEnds::of(client_.socket()));
      }
      auto dialed = co_await dialer_->next();
      if (!dialed) {
        begin_anew();
        if (missing_) co_return std::move(*missing_);
        co_return std::unexpected(last.value_or(dialed.error()));
      }
      upstream_ = dialed->upstream->id;
      endpoint_ = to_string(dialed->endpoint);
      origin_ =
          std::make_unique<rtsp::Connection>(std::move(dialed->socket), context_.options.limits);
      fresh_ = true;
    }
    const bool reused = !fresh_;
    auto answer = co_await exchange(request);
    fresh_ = false;
    if (client_gone_) co_return fail(Errc::Closed, "client left");
    if (answer) {
      if (settles(request, *answer)) co_return std::move(answer);
      origin_.reset();
      continue;
    }
    last = answer.error();
    // Servers may end a connection that is quiet; then the same one is asked over a new one.
    if (reused && broke(last->code))
      begin_anew();
    else
      dialer_->reject(*last, request.method == "OPTIONS" ? Stage::Setup : Stage::Request);
    origin_.reset();
    if (!may_move || last->code == Errc::Cancelled) co_return std::move(answer);
  }
}

// Whether the answer stands; if not, the next origin is asked.
bool RtspCall::settles(const rtsp::Message& request, const rtsp::Message& answer) {
  if (succeeded(answer)) {
    if (binds(request.method)) dialer_->accept();
    return true;
  }
  // Credentials are for the origin that asked for them.
  const bool may_ask = answer.status == 401 && !request.headers.has("Authorization");
  if (request.method != "DESCRIBE" || (missing_ && may_ask)) return true;
  if (!missing_ && answer.status != 404) return true;
  if (!missing_) missing_ = answer;
  return false;
}

Task<Result<rtsp::Message>> RtspCall::exchange(rtsp::Message request) {
  const auto& options = context_.options;
  // A client that goes while the origin thinks takes its connection there along.
  const auto gone = client_.socket().when_gone([this] {
    client_gone_ = true;
    origin_->socket().close();
  });
  const milliseconds patience =
      request.method == "OPTIONS" ? options.dial.reply_timeout : options.request_timeout;
  const Deadline deadline = context_.loop.in(patience);
  auto sent = co_await origin_->write(std::move(request), deadline);
  if (!sent) co_return std::unexpected(sent.error());
  while (true) {
    auto answer = co_await origin_->read(deadline, patience);
    if (!answer) co_return std::unexpected(answer.error());
    show_to_client(*answer, target_.base, endpoint_);
    if (!answer->is_request() && answer->status / 100 != 1) co_return std::move(*answer);
    auto passed =
        co_await client_.write(std::move(*answer), context_.loop.in(options.stall_timeout));
    if (!passed) co_return std::unexpected(passed.error());
  }
}

Task<Result<void>> RtspCall::pass_up(rtsp::Message answer) {
  if (!connected()) co_return Result<void>{};
  const Deadline deadline = context_.loop.in(context_.options.stall_timeout);
  auto sent = co_await origin_->write(std::move(answer), deadline);
  co_return sent;
}

void RtspCall::begin_anew() {
  origin_.reset();
  dialer_.reset();
}

}  // namespace weir
