// Whatever packets come, the muxer's output is MPEG-TS to a receiver that knows only the specification:
// packets, counters, tables, lengths and clocks (test/support/ts_reader.h); every packet that it takes is
// one frame; and a viewer may start or go on wherever it says so.
//
// Input: packets of one byte of what it is, two of milliseconds since the last, two of size, and the body.
#include <algorithm>

#include "common/wire/bare_audio.h"
#include "common/wire/mpegts_muxer.h"
#include "test/support/ts_reader.h"

namespace {

using namespace weir;
using mpegts::Muxer;
using Wrote = Remuxer::Wrote;

constexpr int kVideo = 1;
constexpr int kKeyframe = 2;
constexpr int kHeader = 4;  // among those that are configured before a keyframe

struct Input {
  int kind;
  flv::Tag tag;
};

bool take(ByteView& rest, std::uint32_t& clock_ms, Input& input) {
  if (rest.size() < 5) return false;
  clock_ms += load_be16(rest.data() + 1);
  const std::size_t size = std::min<std::size_t>(load_be16(rest.data() + 3), rest.size() - 5);
  input.kind = rest[0];
  input.tag = {.type = input.kind & kVideo ? flv::TagType::Video : flv::TagType::Audio,
               .timestamp_ms = clock_ms,
               .body = rest.subspan(5, size)};
  rest = rest.subspan(5 + size);
  return true;
}

// The clock may pause for longer than the muxer fills up, but then it does so at once.
void check_clocks(const std::vector<std::uint64_t>& clocks) {
  for (std::size_t i = 1; i < clocks.size(); ++i) {
    const std::uint64_t step = (clocks[i] - clocks[i - 1]) & mpegts::kTimestampMask;
    INVARIANT(step <= Muxer::kClockEveryMs * 90 || step > Muxer::kPauseMs * 90, step);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteView rest(data, size);
  std::uint32_t clock_ms = 0xffff'f000;  // it soon wraps
  Muxer muxer;
  BareAudio bare(flv::Codec::Aac);
  test::TsReader steady;  // has everything
  test::TsReader jumpy;   // has every other stretch between two starts
  std::size_t written = 0;
  bool started = false;
  bool skips = false;
  Input input;
  while (take(rest, clock_ms, input)) {
    if (input.kind & kHeader) {
      muxer.configure(input.tag);
      continue;
    }
    ByteBuffer out;
    const Wrote wrote = muxer.write(input.tag, (input.kind & kKeyframe) != 0, out);
    INVARIANT(out.empty() == (wrote == Wrote::Nothing), out.size());
    INVARIANT(out.size() <= 4 * input.tag.body.size() + 2 * annexb::kMaxParameterSets, out.size());
    written += out.empty() ? 0 : 1;
    ByteBuffer lead_in;
    if (wrote == Wrote::Start) {
      skips = started && !skips;
      if (!skips) muxer.append_lead_in(lead_in);
      started = true;
    }
    steady.feed(out);
    if (started && !skips) {
      jumpy.feed(lead_in);
      jumpy.feed(out);
    }
    ByteBuffer sound;
    const Wrote heard = bare.write(input.tag, false, sound);
    INVARIANT(sound.empty() == (heard == Wrote::Nothing), sound.size());
  }
  steady.end();
  jumpy.end();
  INVARIANT(steady.frames.size() == written, steady.frames.size(), written);
  check_clocks(steady.clocks);
  return 0;
}
