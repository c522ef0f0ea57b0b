// What decodes is written again as the same bytes; and bytes with a right checksum, whatever they
// say, decode to no more than they hold.
#include "cache/checksum.h"
#include "cache/segment_record.h"
#include "common/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  constexpr std::uint64_t kNumber = 7;
  constexpr std::uint64_t kSeed = (std::uint64_t{0x57530001} << 32) ^ kNumber;
  ByteBuffer bytes(data, data + size);
  if (size >= 8) {
    const ByteView summed = ByteView(bytes).first(size - 8);
    store_be64(bytes.data() + size - 8, checksum64(summed, kSeed));
  }
  const auto record = decode_segment_record(bytes, kNumber);
  if (!record) return 0;
  INVARIANT(record->key.size() + record->head.size() + kSegmentRecordOverhead == size);
  INVARIANT(encode(*record, kNumber) == bytes);
  return 0;
}
