#include "common/session_recorder.h"

#include <spdlog/fmt/fmt.h>

#include <ctime>

#include "common/log.h"

namespace weir {

namespace {

using WallTime = std::chrono::system_clock::time_point;

// A live pipe: it is watched, not fetched.
bool is_live(const RequestEnd& end) { return end.facts.protocol == "flv"; }

// Clients leave, and so do operators' nodes. Everything else is a failure.
bool is_failure(std::string_view reason) {
  return reason != "complete" && reason != name(Errc::Closed) && reason != name(Errc::Reset) &&
         reason != name(Errc::Cancelled);
}

// Of one line, field by field.
class Line {
 public:
  explicit Line(WallTime now) {
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(now.time_since_epoch()).count();
    const std::time_t seconds = ms / 1000;
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    char date[32];
    const std::size_t size = std::strftime(date, sizeof(date), "%FT%T", &utc);
    fmt::format_to(std::back_inserter(text_), R"({{"time":"{}.{:03}Z")",
                   std::string_view(date, size), ms % 1000);
  }

  Line& text(std::string_view key, std::string_view value) {
    fmt::format_to(std::back_inserter(text_), R"(,"{}":)", key);
    log::append_json_string(value, text_);
    return *this;
  }
  Line& number(std::string_view key, auto value) {
    fmt::format_to(std::back_inserter(text_), R"(,"{}":{})", key, value);
    return *this;
  }
  Line& seconds(Clock::duration time) {
    fmt::format_to(std::back_inserter(text_), R"(,"seconds":{:.3f})",
                   std::chrono::duration<double>(time).count());
    return *this;
  }
  std::string end() { return std::move(text_ += '}'); }

 private:
  std::string text_;
};

void add_who(Line& line, const SessionFacts& facts) {
  line.text("protocol", facts.protocol)
      .text("stream", facts.stream)
      .text("peer", facts.peer.text())
      .text("upstream", facts.upstream);
}

}  // namespace

std::string_view name(SessionKind kind) { return kind == SessionKind::Play ? "play" : "publish"; }

std::string access_line(const SessionEnd& end, WallTime now) {
  const SessionFacts& facts = end.facts;
  Line line(now);
  line.text("action", name(facts.kind)).text("session", end.id).text("request", facts.request_id);
  add_who(line, facts);
  line.seconds(end.lasted)
      .number("received", end.traffic.received)
      .number("sent", end.traffic.sent)
      .text("agent", facts.agent)
      .text("page", log::redact_args(facts.page_url))
      .text("reason", end.reason);
  return line.end();
}

std::string access_line(const RequestEnd& end, WallTime now) {
  Line line(now);
  line.text("action", is_live(end) ? "play" : "request").text("session", end.id);
  add_who(line, end.facts);
  line.text("method", end.method)
      .text("target", log::redact_args(end.target))
      .number("status", end.status)
      .seconds(end.lasted)
      .number("received", end.traffic.received)
      .number("sent", end.traffic.sent)
      .text("agent", end.agent)
      .text("page", log::redact_args(end.page_url))
      .text("reason", end.reason);
  return line.end();
}

SessionRecorder::SessionRecorder(Metrics& metrics, AccessLog* log)
    : metrics_(metrics),
      log_(log),
      first_byte_(metrics.distribution("weir_http_first_byte_seconds",
                                       "From an HTTP request to the first byte of its answer.",
                                       kWaitBuckets)) {
  for (int hundreds = 1; hundreds <= 5; ++hundreds)
    durations_[hundreds] = &metrics.distribution(
        "weir_http_request_duration_seconds",
        "From an HTTP request to the last byte of its answer, live pipes left out.", kWaitBuckets,
        {{"code", fmt::format("{}xx", hundreds)}});
}

void SessionRecorder::began(const SessionFacts& facts) {
  Tally*& tally = begun_[static_cast<std::size_t>(facts.kind)]
                      .try_emplace(std::string(facts.protocol))
                      .first->second;
  if (tally == nullptr)
    tally = &metrics_.tally(
        "weir_sessions_total", "Sessions of a stream that began.",
        {{"protocol", std::string(facts.protocol)}, {"action", std::string(name(facts.kind))}});
  tally->add();
}

void SessionRecorder::joined(const SessionFacts& facts, Clock::duration wait) {
  if (facts.kind != SessionKind::Play) return;
  Distribution*& joins = joins_.try_emplace(std::string(facts.protocol)).first->second;
  if (joins == nullptr)
    joins = &metrics_.distribution("weir_join_seconds",
                                   "From a viewer's connection, or request, to its first media.",
                                   kWaitBuckets, {{"protocol", std::string(facts.protocol)}});
  joins->add(wait);
}

void SessionRecorder::count_end(std::string_view protocol, std::string_view reason) {
  if (!is_failure(reason)) return;
  Tally*& tally = failed_.try_emplace(std::string(protocol)).first->second;
  if (tally == nullptr)
    tally = &metrics_.tally("weir_session_failures_total",
                            "Sessions refused, or ended by something else than somebody's wish.",
                            {{"protocol", std::string(protocol)}});
  tally->add();
}

void SessionRecorder::session_ended(const SessionEnd& end) {
  count_end(end.facts.protocol, end.reason);
  if (log_ != nullptr) log_->write(access_line(end, std::chrono::system_clock::now()));
}

void SessionRecorder::request_ended(const RequestEnd& end) {
  const bool live = is_live(end);
  if (live) count_end(end.facts.protocol, end.reason);
  const auto durations = durations_.find(end.status / 100);
  if (!live && durations != durations_.end()) durations->second->add(end.lasted);
  if (log_ != nullptr && (live || log_->wants_requests()))
    log_->write(access_line(end, std::chrono::system_clock::now()));
}

}  // namespace weir
