#include "common/wire/rtmp_handshake.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <optional>

#include "common/check.h"

namespace weir::rtmp {
namespace {

constexpr std::size_t kDigestSize = 32;
constexpr std::size_t kFieldsSize = 8;         // time and version, or time and time2
constexpr std::uint8_t kEncryptedVersion = 6;  // RTMPE
constexpr std::size_t kDigestRange = 764 - 4 - kDigestSize;

using Digest = std::array<std::uint8_t, kDigestSize>;
using Block = std::span<std::uint8_t, kHandshakeSize>;
using BlockView = std::span<const std::uint8_t, kHandshakeSize>;

// The words with which each side signs its first block; with the common tail they key its second.
constexpr std::string_view kServerWords = "Genuine Adobe Flash Media Server 001";
constexpr std::string_view kClientWords = "Genuine Adobe Flash Player 001";
constexpr std::uint8_t kTail[] = {0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0,
                                  0xd1, 0x02, 0x9e, 0x7e, 0x57, 0x6e, 0xec, 0x5d, 0x2d, 0x29, 0x80,
                                  0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae};

// What peers look at to see that a digest may be there: any version from 3 on.
constexpr std::uint8_t kServerVersion[4] = {4, 5, 0, 1};
constexpr std::uint8_t kClientVersion[4] = {9, 0, 124, 2};

Digest hmac_sha256(ByteView key, ByteView message) {
  Digest digest;
  unsigned size = 0;
  const auto* done = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(),
                          message.size(), digest.data(), &size);
  INVARIANT(done != nullptr && size == kDigestSize, size);
  return digest;
}

void fill_random(std::span<std::uint8_t> out) {
  INVARIANT(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1, out.size());
}

std::size_t digest_offset(BlockView block, HandshakeKind kind) {
  const std::size_t base = kind == HandshakeKind::DigestFirst ? 8 : 772;
  const std::size_t sum = block[base] + block[base + 1] + block[base + 2] + block[base + 3];
  return base + 4 + sum % kDigestRange;
}

// Over the block without the bytes where the digest stands.
Digest digest_of(BlockView block, std::size_t offset, std::string_view words) {
  std::array<std::uint8_t, kHandshakeSize - kDigestSize> message;
  auto out = std::copy_n(block.begin(), offset, message.begin());
  std::copy(block.begin() + static_cast<std::ptrdiff_t>(offset + kDigestSize), block.end(), out);
  return hmac_sha256(as_bytes(words), message);
}

struct Found {
  HandshakeKind kind;
  Digest digest;
};

std::optional<Found> find_digest(BlockView block, std::string_view words) {
  for (HandshakeKind kind : {HandshakeKind::DigestFirst, HandshakeKind::DigestSecond}) {
    const std::size_t offset = digest_offset(block, kind);
    const Digest digest = digest_of(block, offset, words);
    if (std::equal(digest.begin(), digest.end(), block.subspan(offset).begin()))
      return Found{kind, digest};
  }
  return std::nullopt;
}

// Adds a block of zeros to `out`. The view holds until `out` grows again.
Block add_block(ByteBuffer& out) {
  out.resize(out.size() + kHandshakeSize);
  return Block(out.data() + out.size() - kHandshakeSize, kHandshakeSize);
}

// C1 or S1. The time is 0: nobody needs it.
void add_first_block(ByteBuffer& out, HandshakeKind kind, ByteView version,
                     std::string_view words) {
  Block block = add_block(out);
  fill_random(block.subspan(kFieldsSize));
  if (kind == HandshakeKind::Plain) return;
  std::copy(version.begin(), version.end(), block.begin() + 4);
  const std::size_t offset = digest_offset(block, kind);
  std::ranges::copy(digest_of(block, offset, words), block.subspan(offset).begin());
}

// C2 or S2 of the digest kind: random, signed with a key made from the peer's digest.
void add_signed_block(ByteBuffer& out, const Digest& peer, std::string_view words) {
  ByteBuffer key(words.begin(), words.end());
  append(key, kTail);
  Block block = add_block(out);
  fill_random(block.first(kHandshakeSize - kDigestSize));
  const Digest digest =
      hmac_sha256(hmac_sha256(key, peer), block.first(kHandshakeSize - kDigestSize));
  std::ranges::copy(digest, block.last(kDigestSize).begin());
}

// Moves bytes of `input` into `block` until it is whole.
bool gather(ByteBuffer& block, ByteView& input) {
  const std::size_t part = std::min(input.size(), kHandshakeSize - block.size());
  append(block, input.first(part));
  input = input.subspan(part);
  return block.size() == kHandshakeSize;
}

bool skip(std::size_t& skipped, ByteView& input) {
  const std::size_t part = std::min(input.size(), kHandshakeSize - skipped);
  skipped += part;
  input = input.subspan(part);
  return skipped == kHandshakeSize;
}

Result<void> check_version(std::uint8_t version) {
  if (version == kHandshakeVersion) return {};
  if (version == kEncryptedVersion) return fail(Errc::Protocol, "RTMPE is not supported");
  return fail(Errc::Protocol, fmt::format("RTMP version {}", version));
}

BlockView view(const ByteBuffer& block) { return BlockView(block.data(), kHandshakeSize); }

}  // namespace

Result<void> ServerHandshake::feed(ByteView& input) {
  if (step_ == Step::C0 && !input.empty()) {
    if (auto version = check_version(input[0]); !version) return version;
    input = input.subspan(1);
    step_ = Step::C1;
  }
  if (step_ == Step::C1 && gather(c1_, input)) {
    answer();
    c1_ = {};
    step_ = Step::C2;
  }
  if (step_ == Step::C2 && skip(c2_size_, input)) step_ = Step::Done;
  return {};
}

void ServerHandshake::answer() {
  const auto found = find_digest(view(c1_), kClientWords);
  kind_ = found ? found->kind : HandshakeKind::Plain;
  output_.reserve(output_.size() + 1 + 2 * kHandshakeSize);
  output_.push_back(kHandshakeVersion);
  add_first_block(output_, kind_, kServerVersion, kServerWords);
  if (found)
    add_signed_block(output_, found->digest, kServerWords);
  else
    append(output_, c1_);
}

ClientHandshake::ClientHandshake(HandshakeKind kind) : sent_digest_(kind != HandshakeKind::Plain) {
  output_.reserve(1 + kHandshakeSize);
  output_.push_back(kHandshakeVersion);
  add_first_block(output_, kind, kClientVersion, kClientWords);
}

Result<void> ClientHandshake::feed(ByteView& input) {
  if (step_ == Step::S0 && !input.empty()) {
    if (auto version = check_version(input[0]); !version) return version;
    input = input.subspan(1);
    step_ = Step::S1;
  }
  if (step_ == Step::S1 && gather(s1_, input)) {
    answer();
    s1_ = {};
    step_ = Step::S2;
  }
  if (step_ == Step::S2 && skip(s2_size_, input)) step_ = Step::Done;
  return {};
}

void ClientHandshake::answer() {
  const auto found = sent_digest_ ? find_digest(view(s1_), kServerWords) : std::nullopt;
  digest_answered_ = found.has_value();
  if (found)
    add_signed_block(output_, found->digest, kClientWords);
  else
    append(output_, s1_);
}

}  // namespace weir::rtmp
