#include "proxy/chunk_pipe.h"

namespace weir {

namespace {
constexpr std::size_t kMaxPieces = 64;
}  // namespace

Result<void> ChunkPipe::forward(std::span<std::uint8_t> input) {
  auto walked = walker_.walk(input, pieces_);
  if (!walked) return walked;
  std::array<iovec, kMaxPieces> room;
  std::size_t done = 0;  // bytes of the first piece not yet handled
  std::size_t next = 0;
  bool blocked = false;
  while (next < pieces_.size() && !blocked) {
    std::size_t count = 0;
    std::size_t wanted = 0;
    for (std::size_t i = next; i < pieces_.size() && count < room.size(); ++i) {
      const ByteView piece = pieces_[i].subspan(i == next ? done : 0);
      room[count++] = {.iov_base = const_cast<std::uint8_t*>(piece.data()),
                       .iov_len = piece.size()};
      wanted += piece.size();
    }
    auto sent = try_send(std::span(room).first(count));
    if (!sent) return std::unexpected(sent.error());
    blocked = *sent < wanted;
    done += *sent;
    while (next < pieces_.size() && done >= pieces_[next].size()) done -= pieces_[next++].size();
  }
  for (; next < pieces_.size(); ++next) keep(pieces_[next].subspan(std::exchange(done, 0)));
  return {};
}

void ChunkPipe::farewell(ByteView message) {
  if (!walker_.at_boundary() || kept() > 0) return;
  const iovec piece{.iov_base = const_cast<std::uint8_t*>(message.data()),
                    .iov_len = message.size()};
  static_cast<void>(try_send({&piece, 1}));
}

}  // namespace weir
