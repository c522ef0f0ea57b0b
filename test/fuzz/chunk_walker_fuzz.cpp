// test/fuzz/chunk_walker_fuzz.cpp
// First byte: how many messages are read before the walk. Second: seed of the splits. Rest: a chunk
// stream. Who reads what the walker sends must get what a reader of the original gets.
#include <cstdio>
#include <cstdlib>

#include "test/common/wire/rtmp_chunk_peer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir::rtmp;
  if (size < 2) return 0;
  ReaderLimits limits;
  limits.message = kMediaMessageLimit;
  std::minstd_rand random(data[1]);
  WalkerOptions options;
  options.stream_id_from = 1;
  options.stream_id_to = 1 + data[1] % 2;
  std::size_t observed = 0;
  options.on_command = [&](const Message& message) { observed += message.payload.size(); };
  const std::string difference =
      test::relay_difference({data + 2, size - 2}, data[0], limits, options,
                             [&] { return random() % (random() % 4 ? 7 : 300); });
  if (!difference.empty()) {
    std::fprintf(stderr, "broken: %s\n", difference.c_str());
    std::abort();
  }
  return 0;
}
