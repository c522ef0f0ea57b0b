#include "common/sessions.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <utility>

#include "common/log.h"

namespace weir {

namespace {

constexpr milliseconds kTick{100};
constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr std::size_t kIdSize = 8;

thread_local Sessions* t_current = nullptr;

std::int64_t unix_seconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

void cut(std::string& text) {
  if (text.size() > LiveSession::kMaxText) text.resize(LiveSession::kMaxText);
}

}  // namespace

Traffic traffic_of(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  int under_way = 0;
  if (ioctl(fd, SIOCOUTQ, &under_way) != 0) under_way = 0;
  return {.received = info.tcpi_bytes_received,
          .sent = info.tcpi_bytes_acked + static_cast<std::uint64_t>(under_way)};
}

// -------------------------------------------------------------------------------------- LiveSession

LiveSession::LiveSession(SessionFacts facts, Count count, End end)
    : facts_(std::move(facts)),
      count_(std::move(count)),
      end_(std::move(end)),
      begun_(Clock::now()),
      rate_(begun_) {
  facts_.page_url = log::redact_args(facts_.page_url);
  if (facts_.asked != Clock::time_point{}) begun_ = facts_.asked;
  for (std::string* text : {&facts_.agent, &facts_.page_url, &facts_.request_id}) cut(*text);
  if (t_current != nullptr) t_current->add(*this);
}

LiveSession::LiveSession(SessionFacts facts, Socket& socket)
    : LiveSession(
          std::move(facts), [&socket] { return traffic_of(socket.fd()); },
          [&socket] { socket.close(); }) {}

LiveSession::~LiveSession() {
  if (directory_ != nullptr) directory_->remove(*this);
}

void LiveSession::refused(const SessionFacts& facts, Errc why) {
  SessionWitness* witness = t_current != nullptr ? t_current->witness() : nullptr;
  if (witness == nullptr) return;
  const bool known = facts.asked != Clock::time_point{};
  witness->session_ended({.facts = facts,
                          .id = {},
                          .reason = name(why),
                          .lasted = known ? Clock::now() - facts.asked : Clock::duration::zero(),
                          .traffic = {}});
}

void LiveSession::describe(std::string_view protocol, std::string stream) {
  facts_.protocol = protocol;
  if (facts_.stream == stream) return;
  if (directory_ != nullptr) directory_->leave_load(*this);
  facts_.stream = std::move(stream);
  if (directory_ != nullptr) directory_->enter_load(*this);
}

void LiveSession::set_expiry(std::int64_t expires) {
  if (facts_.expires == expires) return;
  if (directory_ != nullptr) directory_->expiring_.erase({facts_.expires, this});
  facts_.expires = expires;
  if (directory_ != nullptr && expires > 0) directory_->expiring_.insert({expires, this});
}

void LiveSession::begin() {
  if (facts_.stream.empty() || directory_ == nullptr || std::exchange(began_, true)) return;
  if (SessionWitness* witness = directory_->witness()) witness->began(facts_);
}

void LiveSession::media_began() {
  if (std::exchange(joined_, true) || directory_ == nullptr) return;
  if (SessionWitness* witness = directory_->witness())
    witness->joined(facts_, Clock::now() - begun_);
}

// Counters only grow, but a socket that has been closed does not tell its own any more.
void LiveSession::settle() {
  const Traffic now = count_();
  if (load_ != nullptr) {
    load_->traffic.received += std::max(now.received, counted_.received) - counted_.received;
    load_->traffic.sent += std::max(now.sent, counted_.sent) - counted_.sent;
  }
  counted_ = {.received = std::max(now.received, counted_.received),
              .sent = std::max(now.sent, counted_.sent)};
}

void LiveSession::introduce(std::string_view agent, std::string_view page_url) {
  introduced_ = true;
  facts_.agent = agent.substr(0, kMaxText);
  facts_.page_url = log::redact_args(page_url.substr(0, kMaxText));
}

void LiveSession::end(const Error& why) {
  if (ended_) return;
  settle();
  ended_ = why;
  auto call = std::move(end_);  // it may destroy this
  call();
}

// ----------------------------------------------------------------------------------- StreamSessions

void StreamSessions::add(const StreamSessions& other) {
  if (!publisher) publisher = other.publisher;
  for (const auto& [protocol, count] : other.viewers) viewers[protocol] += count;
  age = std::max(age, other.age);
  publishing += other.publishing;
  playing += other.playing;
  publishing_rate += other.publishing_rate;
  playing_rate += other.playing_rate;
  viewer_kbps = std::max(viewer_kbps, other.viewer_kbps);
  if (upstream.empty()) upstream = other.upstream;
}

// ----------------------------------------------------------------------------------------- Sessions

Sessions* Sessions::current() { return t_current; }

Sessions::Sessions(Loop& loop, std::unique_ptr<SessionWitness> witness)
    : loop_(loop), witness_(std::move(witness)), loads_checked_(loop.now()) {
  INVARIANT(t_current == nullptr);
  t_current = this;
  loop_.arm(*this, loop_.in(kTick));
}

Sessions::~Sessions() {
  for (LiveSession* session = first_; session != nullptr; session = session->next_)
    session->directory_ = nullptr, session->load_ = nullptr;
  t_current = nullptr;
}

std::string Sessions::new_id() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::uniform_int_distribution<std::size_t> digit(0, kDigits.size() - 1);
  while (true) {
    std::string id(1, kDigits[static_cast<std::size_t>(loop_.index()) % kDigits.size()]);
    while (id.size() < kIdSize) id += kDigits[digit(random)];
    if (!by_id_.contains(id)) return id;
  }
}

void Sessions::add(LiveSession& session) {
  session.id_ = new_id();
  session.directory_ = this;
  session.previous_ = last_;
  (last_ != nullptr ? last_->next_ : first_) = &session;
  last_ = &session;
  by_id_[session.id_] = &session;
  if (session.facts_.expires > 0) expiring_.insert({session.facts_.expires, &session});
  size_.store(by_id_.size(), std::memory_order_relaxed);
  enter_load(session);
}

void Sessions::remove(LiveSession& session) {
  leave_load(session);
  if (witness_ != nullptr && !session.facts_.connection)
    witness_->session_ended({.facts = session.facts_,
                             .id = session.id_,
                             .reason = name(session.ended_ ? session.ended_->code : session.why_),
                             .lasted = Clock::now() - session.begun_,
                             .traffic = session.counted_});
  if (to_sample_ == &session) to_sample_ = session.next_;
  (session.previous_ != nullptr ? session.previous_->next_ : first_) = session.next_;
  (session.next_ != nullptr ? session.next_->previous_ : last_) = session.previous_;
  by_id_.erase(session.id_);
  expiring_.erase({session.facts_.expires, &session});
  size_.store(by_id_.size(), std::memory_order_relaxed);
}

void Sessions::enter_load(LiveSession& session) {
  if (session.facts_.stream.empty()) return;
  session.load_ = &loads_[session.facts_.stream];
  ++(session.facts_.kind == SessionKind::Publish ? session.load_->publishers
                                                 : session.load_->viewers);
  if (!session.facts_.connection) session.begin();
}

void Sessions::leave_load(LiveSession& session) {
  session.settle();
  StreamLoad* load = std::exchange(session.load_, nullptr);
  if (load == nullptr) return;
  --(session.facts_.kind == SessionKind::Publish ? load->publishers : load->viewers);
  load->left = loop_.now();
}

StreamLoads Sessions::take_loads() {
  for (LiveSession* each = first_; each != nullptr; each = each->next_) each->settle();
  StreamLoads taken = loads_;
  for (auto& [key, load] : loads_) load.traffic = {};
  std::erase_if(loads_, [](const auto& entry) {
    return entry.second.viewers + entry.second.publishers == 0;
  });
  return taken;
}

void Sessions::forget_loads() {
  loads_checked_ = loop_.now();
  std::erase_if(loads_, [this](const auto& entry) {
    const StreamLoad& load = entry.second;
    return load.viewers + load.publishers == 0 && loads_checked_ - load.left > kLoadMemory;
  });
}

void Sessions::end_expired(std::int64_t now) {
  while (!expiring_.empty() && expiring_.begin()->first <= now) {
    LiveSession& session = *expiring_.begin()->second;
    expiring_.erase(expiring_.begin());
    session.end({Errc::Denied, "its permission has expired"});
  }
}

void Sessions::expired() {
  if (!expiring_.empty()) end_expired(unix_seconds());
  if (loop_.now() - loads_checked_ > kLoadMemory) forget_loads();
  const std::size_t turns = RateMeter::kPeriod / kTick;
  for (std::size_t left = (by_id_.size() + turns - 1) / turns; left > 0; --left) {
    if (to_sample_ == nullptr) to_sample_ = first_;
    LiveSession& session = *to_sample_;
    session.rate_.sample(loop_.now(), session.count_());
    to_sample_ = session.next_;
  }
  loop_.arm(*this, loop_.in(kTick));
}

SessionState Sessions::state_of(LiveSession& session) const {
  const auto now = Clock::now();
  const Traffic traffic = session.count_();
  return {.id = session.id_,
          .facts = session.facts_,
          .age = std::chrono::duration_cast<milliseconds>(now - session.begun_),
          .traffic = traffic,
          .rate = session.rate_.rate(now, traffic)};
}

std::size_t Sessions::count(const std::string& stream) const {
  if (stream.empty()) return by_id_.size();
  std::size_t found = 0;
  for (const LiveSession* each = first_; each != nullptr; each = each->next_)
    found += each->facts_.stream == stream;
  return found;
}

std::vector<SessionState> Sessions::list(std::size_t start, std::size_t count,
                                         const std::string& stream) const {
  std::vector<SessionState> found;
  for (LiveSession* each = first_; each != nullptr && found.size() < count; each = each->next_) {
    if (!stream.empty() && each->facts_.stream != stream) continue;
    if (start > 0)
      --start;
    else
      found.push_back(state_of(*each));
  }
  return found;
}

std::optional<SessionState> Sessions::find(const std::string& id) const {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  return state_of(*found->second);
}

SessionsByStream Sessions::by_stream() const {
  SessionsByStream streams;
  const auto now = Clock::now();
  for (LiveSession* each = first_; each != nullptr; each = each->next_) {
    const SessionFacts& facts = each->facts_;
    if (facts.stream.empty()) continue;
    const Traffic traffic = each->count_();
    const auto rate = each->rate_.rate(now, traffic);
    StreamSessions& stream = streams[facts.stream];
    stream.age = std::max(stream.age, std::chrono::duration_cast<milliseconds>(now - each->begun_));
    if (stream.upstream.empty()) stream.upstream = facts.upstream;
    if (facts.kind == SessionKind::Publish) {
      stream.publisher = {each->id_, std::string(facts.protocol)};
      stream.publishing += traffic;
      stream.publishing_rate += rate;
    } else {
      ++stream.viewers[std::string(facts.protocol)];
      stream.playing += traffic;
      stream.playing_rate += rate;
      stream.viewer_kbps = std::max(stream.viewer_kbps, rate.sent_kbps);
    }
  }
  return streams;
}

bool Sessions::end(const std::string& id, const Error& why) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return false;
  found->second->end(why);
  return true;
}

void Sessions::drain() {
  draining_ = true;
  std::vector<std::string> idle;  // ending one may take others along
  for (const LiveSession* each = first_; each != nullptr; each = each->next_)
    if (each->idle_) idle.push_back(each->id_);
  for (const auto& id : idle) end(id, {Errc::Cancelled, "going away"});
}

}  // namespace weir
