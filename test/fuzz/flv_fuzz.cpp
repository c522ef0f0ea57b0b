// However a stream is cut, the same tags come out, or the same error; written again they are the
// same tags. The first byte chooses how to cut.
#include <algorithm>
#include <string>

#include "common/check.h"
#include "common/wire/codec.h"
#include "common/wire/flv.h"

namespace {

using namespace weir;

constexpr std::size_t kBodyLimit = 4096;

bool inside(ByteView part, ByteView whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void inspect(const flv::Tag& tag) {
  const flv::VideoInfo video = flv::inspect_video(tag.body);
  INVARIANT(inside(video.payload, tag.body));
  INVARIANT(!(video.keyframe && video.sequence_header));
  INVARIANT(!video.keyframe || (!video.payload.empty() && !video.command && !video.metadata));
  const flv::AudioInfo audio = flv::inspect_audio(tag.body);
  INVARIANT(inside(audio.payload, tag.body));
  const ByteView script = flv::strip_set_data_frame(tag.body);
  INVARIANT(inside(script, tag.body));
  INVARIANT(flv::is_metadata(tag.body) == flv::is_metadata(script) ||
            script.size() < tag.body.size());
}

struct Outcome {
  ByteBuffer tags;  // written again
  std::string error;
};

Outcome read_in_pieces(ByteView stream, std::size_t piece) {
  Outcome outcome;
  flv::TagReader reader(kBodyLimit);
  while (!stream.empty()) {
    ByteView input = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(input.size());
    for (;;) {
      auto tag = reader.next(input);
      if (!tag) {
        outcome.error = tag.error().text;
        return outcome;
      }
      if (!*tag) break;
      INVARIANT((*tag)->body.size() <= kBodyLimit);
      inspect(**tag);
      const std::size_t start = outcome.tags.size();
      outcome.tags.resize(start + (*tag)->body.size() + flv::kTagOverhead);
      flv::write_tag(outcome.tags.data() + start, (*tag)->type, (*tag)->timestamp_ms, (*tag)->body);
    }
    INVARIANT(input.empty());
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView stream(data + 1, size - 1);
  const Outcome whole = read_in_pieces(stream, size);
  const Outcome pieces = read_in_pieces(stream, data[0] + std::size_t{1});
  INVARIANT(whole.tags == pieces.tags);
  INVARIANT(whole.error == pieces.error, whole.error, pieces.error);

  ByteBuffer file(flv::kFileHeaderSize);
  flv::write_file_header(file.data(), true, true);
  append(file, whole.tags);
  const Outcome again = read_in_pieces(file, data[0] + std::size_t{1});
  INVARIANT(again.error.empty(), again.error);
  INVARIANT(again.tags == whole.tags);

  inspect({flv::TagType::Video, 0, stream});
  return 0;
}
