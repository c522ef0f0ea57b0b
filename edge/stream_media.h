// edge/stream_media.h
// What a stream carries, read off the headers that it gives to new viewers: codecs, profiles, sizes.
//
// Threading: the stream's home loop. Bounds: the Gop's headers.
#pragma once

#include "edge/stream.h"
#include "proxy/stream_report.h"

namespace weir {

// Without its source and age, which are its HomeStream's to tell.
StreamReport report_of(const Stream& stream);

std::optional<VideoReport> video_of(const Gop& gop);
std::optional<AudioReport> audio_of(const Gop& gop);

}  // namespace weir
