#include "common/handover_channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace weir {

namespace {

Error system_error(const char* what) {
  return {Errc::System, std::string(what) + ": " + std::strerror(errno)};
}

union Control {
  cmsghdr header;
  char bytes[CMSG_SPACE(HandoverChannel::kMaxDescriptors * sizeof(int))];
};

}  // namespace

Result<std::pair<HandoverChannel, HandoverChannel>> HandoverChannel::make() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return std::unexpected(system_error("socketpair"));
  return std::pair{HandoverChannel(ends[0]), HandoverChannel(ends[1])};
}

HandoverChannel::~HandoverChannel() {
  if (fd_ >= 0) ::close(fd_);
}

void HandoverChannel::shut() { ::shutdown(fd_, SHUT_RDWR); }

Result<void> HandoverChannel::send(const std::string& verb, const std::string& text,
                                   const std::vector<int>& descriptors) {
  std::string line = verb + ' ' + text;
  if (line.size() > kMaxMessage || descriptors.size() > kMaxDescriptors)
    return fail(Errc::Limit, verb + ": too long a message");
  iovec piece{line.data(), line.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  Control control{};
  if (!descriptors.empty()) {
    const std::size_t size = descriptors.size() * sizeof(int);
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), descriptors.data(), size);
  }
  ssize_t sent = 0;
  do sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent >= 0) return {};
  if (errno == EPIPE || errno == ECONNRESET) return fail(Errc::Closed, "it has gone");
  return std::unexpected(system_error("sendmsg"));
}

Result<HandoverChannel::Message> HandoverChannel::receive(std::chrono::milliseconds patience) {
  pollfd event{fd_, POLLIN, 0};
  const int ready = ::poll(&event, 1, static_cast<int>(patience.count()));
  if (ready == 0) return fail(Errc::Timeout, "nothing was heard in time");
  if (ready < 0) return std::unexpected(system_error("poll"));
  std::string line(kMaxMessage, '\0');
  iovec piece{line.data(), line.size()};
  Control control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = &control;
  message.msg_controllen = sizeof control;
  const ssize_t got = ::recvmsg(fd_, &message, MSG_CMSG_CLOEXEC);
  if (got < 0 && errno != ECONNRESET) return std::unexpected(system_error("recvmsg"));
  if (got <= 0) return fail(Errc::Closed, "it has gone");
  line.resize(static_cast<std::size_t>(got));
  Message heard;
  const auto space = line.find(' ');
  heard.verb = line.substr(0, space);
  if (space != std::string::npos) heard.text = line.substr(space + 1);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    heard.descriptors.resize((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(heard.descriptors.data(), CMSG_DATA(header),
                heard.descriptors.size() * sizeof(int));
  }
  return heard;
}

}  // namespace weir
