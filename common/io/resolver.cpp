#include "common/io/resolver.h"

#include <ares.h>

#include <algorithm>
#include <set>

#include "common/check.h"

namespace weir {

namespace {
constexpr std::chrono::seconds kMinTtl{1};
constexpr std::chrono::seconds kMaxTtl{300};
constexpr std::chrono::seconds kRetryAfterFailure{1};
constexpr milliseconds kPatience{200};  // with the resolver, when there are old addresses
constexpr int kQueryTimeoutMs = 1000;
constexpr int kQueryTries = 3;
}  // namespace

// c-ares on a loop: its sockets are watched, its time-outs are a timer.
class Resolver::Channel final : private Timer {
 public:
  explicit Channel(Loop& loop) : loop_(loop) {
    static const int library = ares_library_init(ARES_LIB_INIT_ALL);
    INVARIANT(library == ARES_SUCCESS, ares_strerror(library));
    ares_options options{};
    options.timeout = kQueryTimeoutMs;
    options.tries = kQueryTries;
    options.sock_state_cb = [](void* self, int fd, int readable, int writable) {
      static_cast<Channel*>(self)->watch(fd, readable != 0, writable != 0);
    };
    options.sock_state_cb_data = this;
    const int status = ares_init_options(
        &channel_, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    INVARIANT(status == ARES_SUCCESS, ares_strerror(status));
  }
  ~Channel() { ares_destroy(channel_); }

  ares_channel handle() const { return channel_; }

  void arm_timeout() {
    timeval left{};
    if (ares_timeout(channel_, nullptr, &left) == nullptr) return;
    loop_.arm(*this, loop_.in(std::chrono::seconds(left.tv_sec) +
                              std::chrono::microseconds(left.tv_usec)));
  }

 private:
  struct Descriptor final : Watcher {
    Descriptor(Channel& owner, int number) : channel(owner), fd(number) {}
    void on_ready(std::uint32_t events) override {
      const bool in = (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
      const bool out = (events & EPOLLOUT) != 0;
      // This descriptor may be gone after the call.
      channel.process(in ? fd : ARES_SOCKET_BAD, out ? fd : ARES_SOCKET_BAD);
    }
    Channel& channel;
    int fd;
  };

  void watch(int fd, bool readable, bool writable) {
    const std::uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
    auto found = watched_.find(fd);
    if (events == 0) {
      if (found == watched_.end()) return;
      loop_.remove(fd, *found->second);
      watched_.erase(found);
    } else if (found == watched_.end()) {
      auto& made = watched_[fd] = std::make_unique<Descriptor>(*this, fd);
      loop_.add(fd, events, *made);
    } else {
      loop_.modify(fd, events, *found->second);
    }
  }

  void process(int in, int out) {
    ares_process_fd(channel_, in, out);
    arm_timeout();
  }
  void expired() override { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }

  Loop& loop_;
  ares_channel channel_ = nullptr;
  std::map<int, std::unique_ptr<Descriptor>> watched_;
};

Resolver::Resolver(Loop& loop) : loop_(loop), channel_(std::make_unique<Channel>(loop)) {}
Resolver::~Resolver() = default;

void Resolver::forget(const std::string& host) {
  if (auto known = answers_.find(host); known != answers_.end())
    known->second.expires = loop_.now();
}

void Resolver::ask(const std::string& host) {
  struct Asked {
    Resolver* resolver;
    std::string host;
  };
  const ares_addrinfo_hints hints{
      .ai_flags = 0, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = 0};
  auto on_answer = [](void* asked_pointer, int status, int, ares_addrinfo* found) {
    const std::unique_ptr<Asked> asked(static_cast<Asked*>(asked_pointer));
    if (status == ARES_EDESTRUCTION) return;
    std::vector<Address> addresses;
    std::chrono::seconds ttl = kMaxTtl;
    for (auto* node = found != nullptr ? found->nodes : nullptr; node != nullptr;
         node = node->ai_next) {
      addresses.push_back(Address::of(node->ai_addr, node->ai_addrlen));
      ttl = std::clamp(std::chrono::seconds(node->ai_ttl), kMinTtl, ttl);
    }
    if (found != nullptr) ares_freeaddrinfo(found);
    asked->resolver->answer(asked->host, std::move(addresses), ttl);
  };
  ares_getaddrinfo(channel_->handle(), host.c_str(), nullptr, &hints, on_answer,
                   new Asked{this, host});
  channel_->arm_timeout();
}

void Resolver::answer(const std::string& host, std::vector<Address> addresses,
                      std::chrono::seconds ttl) {
  auto known = answers_.find(host);
  if (!addresses.empty()) {
    if (known == answers_.end() && answers_.size() >= kMaxNames) answers_.erase(answers_.begin());
    answers_[host] = {std::move(addresses), loop_.now() + ttl};
  } else if (known != answers_.end()) {
    known->second.expires = loop_.now() + kRetryAfterFailure;  // the old addresses may still work
  }
  auto question = questions_.extract(host);
  if (question.empty()) return;
  question.mapped()->done = true;
  question.mapped()->answered.notify();
}

Task<Result<std::vector<Address>>> Resolver::resolve(std::string host, std::uint16_t port,
                                                     Deadline deadline) {
  if (auto numeric = Address::parse(host, port); numeric && !host.empty())
    co_return std::vector{*numeric};
  auto known = answers_.find(host);
  if (known == answers_.end() || known->second.expires <= loop_.now()) {
    auto question = questions_[host];
    const bool first = question == nullptr;
    if (first) {
      question = std::make_shared<Question>(loop_);
      questions_[host] = question;
      ask(host);  // may be answered at once, from the hosts file
    }
    if (!question->done) {
      const bool outdated = known != answers_.end();
      const Deadline until = outdated ? std::min(deadline, loop_.in(kPatience)) : deadline;
      auto answered = co_await question->answered.wait(until);
      known = answers_.find(host);
      if (!answered && (answered.error().code == Errc::Cancelled || known == answers_.end()))
        co_return std::unexpected(answered.error());
      // The question stays open; meanwhile nobody else needs to wait for it.
      if (!answered) known->second.expires = loop_.now() + kRetryAfterFailure;
    }
    known = answers_.find(host);
  }
  if (known == answers_.end()) co_return fail(Errc::Refused, "cannot resolve " + host);
  auto addresses = known->second.addresses;
  for (auto& address : addresses) address.set_port(port);
  co_return addresses;
}

Task<Result<std::unique_ptr<Socket>>> Resolver::connect(std::string host, std::uint16_t port,
                                                        Deadline deadline) {
  Error last{Errc::Timeout, "no time left to connect"};
  std::set<std::string> tried;
  for (bool asked_again = false; last.code != Errc::Cancelled; asked_again = true) {
    auto addresses = co_await resolve(host, port, deadline);
    if (!addresses && !asked_again) co_return std::unexpected(addresses.error());
    if (!addresses) break;
    std::erase_if(*addresses, [&](const Address& each) { return tried.contains(each.text()); });
    auto left = static_cast<int>(addresses->size());
    if (left == 0) break;
    for (const auto& address : *addresses) {
      tried.insert(address.text());
      const auto share = loop_.now() + (deadline - loop_.now()) / left--;
      auto socket = co_await Socket::connect(loop_, address, share);
      if (socket) co_return socket;
      last = socket.error();
      if (last.code == Errc::Cancelled) break;
    }
    forget(host);
    if (asked_again || loop_.now() >= deadline) break;
  }
  co_return std::unexpected(Error{last.code, host + ":" + std::to_string(port) + ": " + last.text});
}

}  // namespace weir
