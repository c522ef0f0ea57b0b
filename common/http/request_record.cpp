#include "common/http/request_record.h"

namespace weir::http {

namespace {

constexpr std::size_t kMaxTarget = 1024;

}  // namespace

void RequestRecord::begin(const Request& request, Clock::time_point now) {
  begin_without_one(now);
  if (!open_ || !witness_->wants_requests()) return;
  const auto text = [&request](std::string_view field) {
    return request.headers.find(field).value_or("").substr(0, LiveSession::kMaxText);
  };
  method_ = request.method;
  target_ = std::string_view(request.target).substr(0, kMaxTarget);
  agent_ = text("User-Agent");
  page_url_ = text("Referer");
}

void RequestRecord::begin_without_one(Clock::time_point now) {
  open_ = witness_ != nullptr;
  status_ = 0;
  why_.reset();
  began_ = now;
  for (std::string* each : {&method_, &target_, &agent_, &page_url_}) each->clear();
}

void RequestRecord::answered(int status) {
  if (!open_ || status_ != 0) return;
  status_ = status;
  witness_->answered(Clock::now() - began_);
}

void RequestRecord::failed(Errc why) {
  if (!why_) why_ = why;
}

void RequestRecord::end(const SessionFacts& facts, std::string_view id,
                        const std::optional<Error>& ended) {
  if (!std::exchange(open_, false)) return;
  Traffic moved;
  if (witness_->wants_requests()) {
    const Traffic all = traffic_of(socket_.fd());
    if (all.sent >= before_.sent && all.received >= before_.received) {
      moved = {.received = all.received - before_.received, .sent = all.sent - before_.sent};
      before_ = all;
    }
  }
  const Errc unanswered = ended ? ended->code : Errc::Closed;
  const bool complete = status_ != 0 && !why_;
  witness_->request_ended({.facts = facts,
                           .id = id,
                           .reason = complete ? "complete" : name(why_.value_or(unanswered)),
                           .method = method_,
                           .target = target_,
                           .agent = agent_,
                           .page_url = page_url_,
                           .status = status_,
                           .lasted = Clock::now() - began_,
                           .traffic = moved});
}

int final_status(std::string_view head) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  if (!head.starts_with("HTTP/1.") || head.size() < kVersion.size() + 3) return 0;
  int status = 0;
  for (const char digit : head.substr(kVersion.size(), 3)) {
    if (digit < '0' || digit > '9') return 0;
    status = status * 10 + (digit - '0');
  }
  return status >= 200 || status == 101 ? status : 0;
}

}  // namespace weir::http
