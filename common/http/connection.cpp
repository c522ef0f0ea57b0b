#include "common/http/connection.h"

#include <spdlog/fmt/fmt.h>

#include "common/check.h"
#include "common/metrics.h"

namespace weir::http {

// Outlives its connection until the waiting coroutine has noticed; the socket must too.
struct Connection::Watch {
  Watch(Connection& connection, Loop& loop) : owner(&connection), came(loop) {}
  Connection* owner;               // null: the connection has gone
  std::unique_ptr<Socket> orphan;  // its socket, then
  Socket* other = nullptr;
  Wait came;  // of the reader that wants what the watch sees first
};

namespace {

// All of `bytes`; how many they were.
Task<Result<std::uint64_t>> write_all(Socket& to, ByteView bytes, PumpOptions options) {
  auto sent = co_await to.write(bytes, to.loop().in(options.stall));
  if (!sent) co_return std::unexpected(sent.error());
  if (options.tally != nullptr) options.tally->add(bytes.size());
  co_return std::uint64_t{bytes.size()};
}

// The same for what is not needed afterwards.
Task<Result<std::uint64_t>> write_first(Socket& to, std::string bytes, PumpOptions options) {
  auto sent = co_await write_all(to, as_bytes(bytes), options);
  co_return sent;
}

}  // namespace

Connection::~Connection() {
  if (watch_ == nullptr) return;
  socket_->close();
  watch_->owner = nullptr;
  watch_->orphan = std::move(socket_);
}

Task<Result<void>> Connection::write(std::string bytes, Deadline deadline) {
  auto sent = co_await socket_->write(as_bytes(bytes), deadline);
  co_return sent;
}

Result<bool> Connection::receive_now() {
  // By way of the loop's memory, so that a connection holds no more than what has come.
  const auto piece = loop().scratch().first(kReceiveBuffer);
  auto got = socket_->try_read(piece);
  if (!got) {
    gone_ = true;
    return std::unexpected(got.error());
  }
  buffer_.assign(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*got));
  unread_ = buffer_;
  return *got > 0;
}

Task<Result<void>> Connection::receive(Deadline deadline) {
  INVARIANT(unread_.empty());
  while (true) {
    auto got = receive_now();
    if (!got) co_return std::unexpected(got.error());
    if (*got) co_return Result<void>{};
    buffer_ = ByteBuffer();
    if (watch_ != nullptr) {
      auto came = co_await watch_->came.until(deadline);
      if (!came) co_return came;
      if (!unread_.empty()) co_return Result<void>{};
    } else {
      auto ready = co_await socket_->readable(deadline);
      if (!ready) co_return ready;
    }
  }
}

template <class Message>
Task<Parsed<Message>> Connection::read_head(HeadReader<Message>& reader, Deadline deadline) {
  while (true) {
    if (unread_.empty()) {
      auto received = co_await receive(deadline);
      if (!received) {
        const bool torn = received.error().code == Errc::Closed && !reader.idle();
        co_return torn ? refuse(0, Errc::Reset, "connection ended inside a head")
                       : refuse(0, received.error().code, received.error().text);
      }
    }
    auto head = reader.next(unread_);
    if (!head) co_return std::unexpected(head.error());
    if (*head) co_return std::move(**head);
  }
}

template Task<Parsed<Request>> Connection::read_head(RequestReader&, Deadline);
template Task<Parsed<Response>> Connection::read_head(ResponseReader&, Deadline);

Task<Result<ByteView>> Connection::read_body(Deadline deadline) {
  while (true) {
    auto piece = body_.next(unread_);
    if (!piece) co_return std::unexpected<Error>(piece.error());
    if (!piece->empty()) co_return *piece;
    if (body_.ended()) co_return fail(Errc::Closed, "end of the body");
    if (!unread_.empty()) continue;
    auto received = co_await receive(deadline);
    if (received) continue;
    if (received.error().code != Errc::Closed) co_return std::unexpected(received.error());
    if (!body_.closed()) co_return fail(Errc::Reset, "connection ended inside a body");
  }
}

Task<Result<std::string>> Connection::read_all(std::size_t most, Deadline deadline) {
  std::string text;
  while (true) {
    auto piece = co_await read_body(deadline);
    if (!piece && piece.error().code == Errc::Closed) co_return std::move(text);
    if (!piece) co_return std::unexpected(piece.error());
    if (text.size() + piece->size() > most)
      co_return fail(Errc::Limit, fmt::format("more than {} bytes", most));
    text += as_text(*piece);
  }
}

Task<PumpEnd> Connection::pump_body(Socket& to, PumpOptions options, std::string head) {
  options.extent = &body_;
  PumpEnd end;
  auto taken = body_.take(unread_);
  if (!taken) {
    end.why = taken.error();
    co_return std::move(end);
  }
  head += as_text(unread_.first(*taken));
  unread_ = unread_.subspan(*taken);
  if (unread_.empty()) buffer_ = ByteBuffer();
  // Copied, and freed before the long part begins.
  auto sent = co_await write_first(to, std::move(head), options);
  if (!sent) {
    end.side = PumpEnd::Side::To;
    end.why = sent.error();
    co_return std::move(end);
  }
  if (body_.ended()) {
    end.complete = true;
    end.why = {Errc::Closed, "complete"};
  } else {
    end = co_await pump(*socket_, to, options);
    const bool left = end.why.code == Errc::Closed || end.why.code == Errc::Reset;
    if (end.side == PumpEnd::Side::From && !end.complete && left) gone_ = true;
  }
  end.bytes += *sent;
  if (end.excess.empty()) co_return std::move(end);
  buffer_ = std::exchange(end.excess, {});
  unread_ = buffer_;
  co_return std::move(end);
}

Task<PumpEnd> Connection::pump_content(Socket& to, PumpOptions options, std::string head) {
  PumpEnd end;
  auto sent = co_await write_first(to, std::move(head), options);
  while (sent) {
    end.bytes += *sent;
    auto piece = co_await read_body(loop().in(options.idle));
    if (!piece) {
      end.complete = piece.error().code == Errc::Closed;
      end.why = piece.error();
      co_return std::move(end);
    }
    sent = co_await write_all(to, *piece, options);
  }
  end.side = PumpEnd::Side::To;
  end.why = sent.error();
  co_return std::move(end);
}

void Connection::close_when_gone(Socket* other) {
  if (watch_ == nullptr) {
    if (other == nullptr || gone_ || !unread_.empty()) return;
    watch_ = std::make_shared<Watch>(*this, loop());
    watch_->other = other;
    loop().spawn(watch(watch_));
  } else {
    watch_->other = other;
  }
}

Task<void> Connection::watch(std::shared_ptr<Watch> watch) {
  while (true) {
    Socket& socket = *watch->owner->socket_;
    auto ready = co_await socket.readable(Deadline::max());
    Connection* owner = watch->owner;
    if (owner == nullptr) co_return;
    auto got = ready ? owner->receive_now() : std::unexpected(ready.error());
    if (got && !*got) continue;
    owner->watch_ = nullptr;
    if (!got) {
      owner->gone_ = true;
      if (watch->other != nullptr) watch->other->close();
    }
    if (watch->came.waiting()) watch->came.wake();
    co_return;
  }
}

std::unique_ptr<Socket> Connection::take_socket() {
  INVARIANT(watch_ == nullptr);
  return std::move(socket_);
}

}  // namespace weir::http
