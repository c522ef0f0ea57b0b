#include "common/wire/sdp.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

const std::string kPassword(22, 'p');

const std::string kAnswer =
    "v=0\r\n"
    "o=rtc 4711 2 IN IP4 10.1.2.3\r\n"
    "s=-\r\n"
    "t=0 0\r\n"
    "a=group:BUNDLE 0 1\r\n"
    "a=ice-lite\r\n"
    "m=audio 40000 UDP/TLS/RTP/SAVPF 111\r\n"
    "c=IN IP4 10.1.2.3\r\n"
    "a=rtcp:40001 IN IP4 10.1.2.3\r\n"
    "a=ice-ufrag:aaaa\r\n"
    "a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaa\r\n"
    "a=fingerprint:sha-256 00:11\r\n"
    "a=candidate:1 1 udp 1694498815 10.1.2.4 40000 typ srflx raddr 10.1.2.3 rport 40000\r\n"
    "a=candidate:2 1 UDP 2130706431 10.1.2.3 40000 typ host\r\n"
    "a=candidate:3 2 udp 2130706430 10.1.2.3 40001 typ host\r\n"
    "a=candidate:4 1 tcp 1518280447 fd00::1 9000 typ host tcptype passive\r\n"
    "a=candidate:5 1 udp nonsense\r\n"
    "a=end-of-candidates\r\n"
    "m=video 0 UDP/TLS/RTP/SAVPF 96\r\n"
    "c=IN IP6 fd00::1\r\n"
    "a=bundle-only\r\n"
    "a=ice-ufrag:bbbb\r\n"
    "a=ice-pwd:bbbbbbbbbbbbbbbbbbbbbb\r\n"
    "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"
    "a=remote-candidates:1 10.1.2.3 40000\r\n";

const std::vector<sdp::Candidate> kOurs{
    {.address = "192.0.2.1", .port = 8000, .priority = 100, .tcp = false},
    {.address = "2001:db8::1", .port = 8000, .priority = 99, .tcp = true}};

std::size_t count_of(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("credentials of every section are read, candidates by priority", "[sdp]") {
  const auto ice = sdp::read_ice(kAnswer);
  REQUIRE(ice);
  CHECK(ice->credentials == std::vector<sdp::Credentials>{{"aaaa", std::string(22, 'a')},
                                                          {"bbbb", std::string(22, 'b')}});
  REQUIRE(ice->candidates.size() == 3);
  CHECK(ice->candidates[0] == sdp::Candidate{"10.1.2.3", 40000, 2130706431, false});
  CHECK(ice->candidates[1] == sdp::Candidate{"10.1.2.4", 40000, 1694498815, false});
  CHECK(ice->candidates[2] == sdp::Candidate{"fd00::1", 9000, 1518280447, true});
}

TEST_CASE("a section without credentials of its own has the session's", "[sdp]") {
  const auto ice = sdp::read_ice("v=0\na=ice-ufrag:sess\na=ice-pwd:" + kPassword +
                                 "\nm=audio 9 X 0\nm=video 9 X 0\n");
  REQUIRE(ice);
  CHECK(ice->credentials == std::vector<sdp::Credentials>{{"sess", kPassword}});
}

TEST_CASE("who only receives is told from who sends", "[sdp]") {
  const std::string text = "v=0\na=ice-ufrag:sess\na=ice-pwd:" + kPassword + "\nm=audio 9 X 0\n";
  CHECK(sdp::read_ice(text + "a=recvonly\n")->receives);
  CHECK_FALSE(sdp::read_ice(text + "a=sendonly\n")->receives);
  CHECK_FALSE(sdp::read_ice(text)->receives);
}

TEST_CASE("what is rewritten names our addresses and none of the origin's", "[sdp]") {
  const std::string text = sdp::with_candidates(kAnswer, kOurs);
  for (const char* theirs : {"10.1.2", "fd00", "40000", "40001", "9000", "raddr"})
    CHECK(text.find(theirs) == std::string::npos);
  // In both sections that carry media, not in the one that is refused.
  CHECK(count_of(text, "a=candidate:1 1 udp 100 192.0.2.1 8000 typ host\r\n") == 2);
  CHECK(count_of(text, "a=candidate:2 1 tcp 99 2001:db8::1 8000 typ host tcptype passive\r\n") ==
        2);
  CHECK(count_of(text, "a=end-of-candidates") == 2);
  CHECK(text.find("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n") != std::string::npos);
  CHECK(text.find("m=video 0 UDP/TLS/RTP/SAVPF 96\r\n") != std::string::npos);
  CHECK(text.find("o=rtc 4711 2 IN IP4 0.0.0.0\r\n") != std::string::npos);
  CHECK(text.find("a=fingerprint:sha-256 00:11\r\n") != std::string::npos);
  CHECK(text.find("a=ice-lite\r\n") != std::string::npos);
  CHECK(sdp::with_candidates(text, kOurs) == text);
  CHECK(sdp::read_ice(text)->credentials == sdp::read_ice(kAnswer)->credentials);
}

TEST_CASE("without candidates of ours, none are left", "[sdp]") {
  const std::string fragment = "a=ice-ufrag:aaaa\r\na=ice-pwd:" + kPassword +
                               "\r\nm=audio 9 X 0\r\na=mid:0\r\n"
                               "a=candidate:1 1 udp 1 192.0.2.9 5000 typ host\r\n";
  CHECK(sdp::with_candidates(fragment, {}) ==
        "a=ice-ufrag:aaaa\r\na=ice-pwd:" + kPassword + "\r\nm=audio 9 X 0\r\na=mid:0\r\n");
}

TEST_CASE("credentials out of the specification's bounds are refused", "[sdp]") {
  const auto with = [](const std::string& ufrag, const std::string& password) {
    const auto ice = sdp::read_ice("v=0\r\nm=audio 9 X 0\r\na=ice-ufrag:" + ufrag +
                                   "\r\na=ice-pwd:" + password + "\r\n");
    return ice ? "" : std::string(name(ice.error().code));
  };
  CHECK(with("abcd", kPassword).empty());
  CHECK(with("abc", kPassword) == "protocol");
  CHECK(with("abcd", std::string(21, 'p')) == "protocol");
  CHECK(with(std::string(256, 'u'), std::string(256, 'p')).empty());
  CHECK(with(std::string(257, 'u'), kPassword) == "protocol");
  CHECK(with("ab:d", kPassword) == "protocol");
  CHECK(with("ab d", kPassword) == "protocol");
  CHECK(with("abcd", "") == "protocol");
}

TEST_CASE("what is no description is refused", "[sdp]") {
  for (const char* text :
       {"hello", "<html>\r\n", "v=0\r\n=x\r\n", "v=0\r\na", "V=0\r\n", "m=\r\n", "m=audio\r\n"})
    CHECK(sdp::read_ice(text).error().code == Errc::Protocol);
  CHECK(sdp::read_ice(std::string("v=0\r\ns=a\0b\r\n", 12)).error().code == Errc::Protocol);
  CHECK(sdp::read_ice("")->credentials.empty());
}

TEST_CASE("size, lines and sections have bounds", "[sdp]") {
  const auto padded = [](std::size_t size) { return "v=0\r\ns=" + std::string(size - 7, 'x'); };
  CHECK(sdp::read_ice(padded(sdp::kMaxText)));
  CHECK(sdp::read_ice(padded(sdp::kMaxText + 1)).error().code == Errc::Limit);

  std::string lines;
  for (std::size_t i = 1; i < sdp::kMaxLines; ++i) lines += "a=x\n";
  CHECK(sdp::read_ice(lines));
  CHECK(sdp::read_ice(lines + "a=x\n").error().code == Errc::Limit);

  std::string sections;
  for (std::size_t i = 0; i < sdp::kMaxSections; ++i) sections += "m=audio 9 X 0\n";
  CHECK(sdp::read_ice(sections));
  CHECK(sdp::read_ice(sections + "m=audio 9 X 0\n").error().code == Errc::Limit);

  std::string candidates = "m=audio 9 X 0\n";
  for (std::size_t i = 1; i <= sdp::kMaxCandidates + 1; ++i)
    candidates += "a=candidate:1 1 udp 1 192.0.2.1 " + std::to_string(i) + " typ host\n";
  CHECK(sdp::read_ice(candidates)->candidates.size() == sdp::kMaxCandidates);
}
