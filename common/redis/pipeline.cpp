#include "common/redis/pipeline.h"

#include <utility>

namespace weir::redis {

Pipeline::Pipeline(std::unique_ptr<Connection> connection)
    : loop_(connection->loop()), connection_(std::move(connection)), something_to_send_(loop_) {}

Pipeline::~Pipeline() { INVARIANT(waiting_.empty()); }

Task<Error> Pipeline::run() {
  Child writer(loop_);
  writer.start(write());
  auto why = co_await read();
  if (cannot_send_) why = std::move(*cannot_send_);
  end(why);
  co_await writer.join();
  co_return why;
}

Task<Error> Pipeline::read() {
  while (true) {
    auto reply = co_await connection_->receive(loop_.in(kSilence));
    if (!reply) co_return std::move(reply.error());
    if (waiting_.empty()) co_return Error{Errc::Protocol, "a reply that nobody asked for"};
    // Scripts of older servers quote it in the middle of their own error.
    const bool replica =
        reply->is(Reply::Kind::Error) && reply->text.find("READONLY ") != std::string::npos;
    stalled_ = false;
    deliver(std::move(*reply));
    if (replica) co_return Error{Errc::Unavailable, "the server has become a replica"};
  }
}

Task<void> Pipeline::write() {
  while (!ended_) {
    if (unsent_.empty()) {
      auto woken = co_await something_to_send_.wait(loop_.in(kIdle));
      if (!woken && woken.error().code == Errc::Cancelled) co_return;
      if (ended_) co_return;
      if (unsent_.empty()) {
        if (waiting_.empty()) add({{"PING"}});
        continue;
      }
    }
    const std::string sending = std::exchange(unsent_, {});
    auto sent = co_await connection_->send(as_bytes(sending), loop_.in(kSilence));
    if (!sent) {
      if (!ended_) cannot_send_ = sent.error();
      connection_->close();  // which ends read()
      co_return;
    }
  }
}

std::shared_ptr<Pipeline::Request> Pipeline::add(const Commands& commands) {
  for (const Command& command : commands) append_command(unsent_, command);
  return waiting_.emplace_back(std::make_shared<Request>(loop_, commands.size()));
}

Task<Result<Replies>> Pipeline::call(Commands commands, Deadline deadline) {
  INVARIANT(!commands.empty());
  if (ended_ || stalled_) co_return fail(Errc::Unavailable, "redis does not answer");
  if (waiting_.size() >= kMaxWaiting || unsent_.size() >= kMaxUnsent)
    co_return fail(Errc::Limit, "too much is waiting for redis");
  const auto request = add(commands);
  something_to_send_.notify();
  auto woken = co_await request->answered.until(deadline);
  // Once answered or failed, this pipeline may be gone.
  if (woken && request->failed) co_return std::unexpected(std::move(*request->failed));
  if (woken) co_return std::move(request->replies);
  if (woken.error().code == Errc::Timeout) {
    stalled_ = true;
    co_return fail(Errc::Timeout, "redis did not answer in time");
  }
  co_return std::unexpected(std::move(woken.error()));
}

void Pipeline::deliver(Reply reply) {
  const auto& request = waiting_.front();
  request->replies.push_back(std::move(reply));
  if (request->replies.size() < request->expected) return;
  const auto answered = std::move(waiting_.front());
  waiting_.pop_front();
  if (answered->answered.waiting()) loop_.resume_soon(answered->answered.take_ready());
}

void Pipeline::end(const Error& why) {
  ended_ = true;
  connection_->close();
  for (const auto& request : std::exchange(waiting_, {})) {
    request->failed = why;
    if (request->answered.waiting()) loop_.resume_soon(request->answered.take_ready());
  }
  something_to_send_.notify();
}

}  // namespace weir::redis
