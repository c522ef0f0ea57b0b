// test/fuzz/chunk_reader_fuzz.cpp
// First byte: seed of the splits. Rest: a chunk stream. Any splitting must give the same messages
// and the same error; memory must follow the bytes received; what was read must survive being
// written and read again.
#include <cstdio>
#include <cstdlib>

#include "test/common/wire/rtmp_chunk_peer.h"

namespace {

using namespace weir;
using namespace weir::rtmp;
using namespace weir::rtmp::test;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const ByteView bytes(data + 1, size - 1);
  ReaderLimits limits;
  limits.message = kMediaMessageLimit;

  ChunkReader whole(limits);
  const ReadOutcome expected = read_all(whole, bytes);
  require(whole.memory() <= 4 * size + (64 << 10), "memory follows the bytes received");

  std::minstd_rand random(data[0]);
  ChunkReader split(limits);
  ReadOutcome pieces;
  read_pieces(split, bytes, [&] { return random() % (random() % 4 ? 7 : 300); }, pieces);
  require(pieces.messages == expected.messages, "splits do not change the messages");
  require(pieces.error == expected.error, "splits do not change the error");
  if (!expected.error) {
    require(split.at_boundary() == whole.at_boundary(), "splits do not change the boundary");
  }

  ChunkWriter writer;
  ByteBuffer written;
  for (const Got& message : expected.messages) {
    writer.append(written, message.header, message.payload);
    if (message.header.type == Type::SetChunkSize) {
      const std::uint32_t chunk_size = load_be32(message.payload.data());
      ByteBuffer announcement;
      writer.set_chunk_size(announcement, chunk_size);
    }
  }
  ChunkReader again(limits);
  const ReadOutcome second = read_all(again, written);
  require(!second.error, "what was read can be written and read");
  require(second.messages == expected.messages, "a round trip changes nothing");
  return 0;
}
