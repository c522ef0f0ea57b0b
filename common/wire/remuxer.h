// common/wire/remuxer.h
// The packets of a stream, written anew in a container that is not made of them one by one, as
// RTMP and FLV are: MPEG-TS, bare audio. What has no place there is left out.
//
//     remuxer.configure(header);                          // each codec header before the keyframe
//     remuxer.write(tag, keyframe, out);                  // then whatever comes
//
// Threading: one owner. Bounds: each implementation's; memory follows the largest packet.
#pragma once

#include "common/wire/codec.h"
#include "common/wire/flv.h"

namespace weir {

class Remuxer {
 public:
  virtual ~Remuxer() = default;

  // Takes codec configuration for the packets to come; anything else is ignored.
  virtual void configure(const flv::Tag& header) = 0;
  // Names the sound that will come, where that is known before the first of it does.
  virtual void expect_audio(flv::Codec) {}

  enum class Wrote {
    Nothing,
    Media,
    Start,  // a viewer may start with it
  };
  // Appends what becomes of the packet, and takes configuration as configure() does. `keyframe`:
  // decoding may begin with it.
  virtual Wrote write(const flv::Tag& tag, bool keyframe, ByteBuffer& out) = 0;

  // What goes before the newest Start, for a viewer who has not had what came before it.
  virtual void append_lead_in(ByteBuffer&) const {}
};

}  // namespace weir
