// Any datagram as STUN: what is read lies inside it, and who signs it is believed.
#include "common/check.h"
#include "test/support/stun_messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  const ByteView packet(data, size);
  const auto message = stun::parse(packet);
  if (!message) return 0;
  INVARIANT(stun::is_stun(packet) && size <= stun::kMaxPacket);
  INVARIANT(message->username.size() <= stun::kMaxUsername);
  if (!message->username.empty()) {
    const auto* name = reinterpret_cast<const std::uint8_t*>(message->username.data());
    INVARIANT(name >= data && name + message->username.size() <= data + size);
  }
  (void)stun::verifies(packet, *message, "password");
  // The same, signed by us.
  if (message->integrity_at != 0 || size + 24 > stun::kMaxPacket) return 0;
  ByteBuffer ours(packet.begin(), packet.end());
  test::add_attribute(ours, 0x0008, stun::integrity(ours, "password"));
  const auto again = stun::parse(ours);
  // Unless there is a fingerprint already, which then is not the last, or too many attributes.
  if (!again) return 0;
  INVARIANT(again->username == message->username && again->type == message->type);
  INVARIANT(stun::verifies(ours, *again, "password"));
  INVARIANT(!stun::verifies(ours, *again, "passwore"));
  return 0;
}
