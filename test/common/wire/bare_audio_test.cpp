#include "common/wire/bare_audio.h"

#include <catch2/catch.hpp>

#include "test/support/codecs.h"

using namespace weir;
using namespace weir::test;
using Wrote = Remuxer::Wrote;

TEST_CASE("bare AAC is each frame behind its ADTS header, and nothing else", "[bare_audio]") {
  BareAudio audio(flv::Codec::Aac);
  ByteBuffer out;
  CHECK(audio.write(aac(0).tag(), true, out) == Wrote::Nothing);  // not configured yet
  audio.configure(h264_header(0).tag());
  audio.configure(aac_header(0).tag());
  CHECK(audio.write(h264(0, true).tag(), true, out) == Wrote::Nothing);
  CHECK(audio.write(mp3(0).tag(), true, out) == Wrote::Nothing);
  CHECK(audio.write(metadata({"width"}).tag(), false, out) == Wrote::Nothing);
  CHECK(audio.write(aac(0, adts::kMaxFrame + 1).tag(), false, out) == Wrote::Nothing);
  CHECK(out.empty());
  CHECK(audio.write(aac(0, 100).tag(), false, out) == Wrote::Start);
  const ByteBuffer frame =
      joined({bytes({0xff, 0xf1, 0x50, 0x80, 0x0d, 0x7f, 0xfc}), ByteBuffer(100, 0x21)});
  CHECK(out == frame);
  CHECK(audio.write(aac(23, 100).tag(), false, out) == Wrote::Media);
  CHECK(out == joined({frame, frame}));
}

TEST_CASE("a new AAC configuration holds from where it stands", "[bare_audio]") {
  BareAudio audio(flv::Codec::Aac);
  ByteBuffer out;
  audio.configure(aac_header(0).tag());
  CHECK(audio.write(aac_header(0, bytes({0x15, 0x88})).tag(), false, out) == Wrote::Nothing);
  audio.write(aac(0).tag(), false, out);
  CHECK(out[2] == (1 << 6 | 11 << 2));
}

TEST_CASE("bare MP3 is the frames", "[bare_audio]") {
  BareAudio audio(flv::Codec::Mp3);
  ByteBuffer out;
  CHECK(audio.write(aac(0).tag(), false, out) == Wrote::Nothing);
  CHECK(audio.write(mp3(0).tag(), false, out) == Wrote::Start);
  CHECK(out == joined({bytes({0xff, 0xfb, 0x90, 0}), ByteBuffer(100, 0x33)}));
}

TEST_CASE("a viewer may start with bare audio twice a second", "[bare_audio]") {
  BareAudio audio(flv::Codec::Mp3);
  ByteBuffer out;
  CHECK(audio.write(mp3(1000).tag(), false, out) == Wrote::Start);
  CHECK(audio.write(mp3(1499).tag(), false, out) == Wrote::Media);
  CHECK(audio.write(mp3(1500).tag(), false, out) == Wrote::Start);
  CHECK(audio.write(mp3(1700).tag(), false, out) == Wrote::Media);
}
