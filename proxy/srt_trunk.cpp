#include "proxy/srt_trunk.h"

#include <algorithm>

#include "common/wire/srt.h"
#include "proxy/srt_session.h"

namespace weir {

SrtTrunk::SrtTrunk(SrtTrunks& all, UdpBuffers& buffers, int fd, const Address& origin)
    : all_(all), origin_(origin), socket_(buffers, fd, *this) {
  all_.to_[origin_].push_back(this);
}

SrtTrunk::~SrtTrunk() {
  const auto there = all_.to_.find(origin_);
  std::erase(there->second, this);
  if (there->second.empty()) all_.to_.erase(there);
}

bool SrtTrunk::has_room_for(std::uint32_t id) const {
  return present_ < kMaxSessions && sessions_.size() < kMaxIds && !sessions_.contains(id);
}

void SrtTrunk::join(std::uint32_t id, SrtSession& session) {
  sessions_.emplace(id, &session);
  ++present_;
}

void SrtTrunk::leave(std::uint32_t id) {
  sessions_[id] = nullptr;
  --present_;
  last_ = nullptr;
}

SrtSession* SrtTrunk::find(std::uint32_t id) {
  if (last_ != nullptr && id == last_id_) return last_;
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return nullptr;
  last_id_ = id;
  return last_ = found->second;
}

void SrtTrunk::received(const UdpPeer&, std::span<std::uint8_t> packet) {
  if (packet.size() < srt::kHeaderSize) return;
  SrtSession* session = find(srt::destination(packet));
  if (session != nullptr) session->from_origin(packet);
}

void SrtTrunk::refused() {
  for (const auto& [id, session] : sessions_)
    if (session != nullptr) session->refused();
}

Result<std::shared_ptr<SrtTrunk>> SrtTrunks::join(const Address& origin, std::uint32_t id,
                                                  SrtSession& session) {
  std::shared_ptr<SrtTrunk> trunk;
  if (const auto there = to_.find(origin); there != to_.end()) {
    const auto roomy = std::ranges::find_if(
        there->second, [id](const SrtTrunk* each) { return each->has_room_for(id); });
    if (roomy != there->second.end()) trunk = (*roomy)->shared_from_this();
  }
  if (!trunk) {
    const auto fd = UdpSocket::connect(origin);
    if (!fd) return std::unexpected(fd.error());
    trunk = std::make_shared<SrtTrunk>(*this, buffers_, *fd, origin);
  }
  trunk->join(id, session);
  return trunk;
}

}  // namespace weir
