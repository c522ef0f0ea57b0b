// Whatever decodes is written and read back as itself, and within its limits.
#include "common/check.h"
#include "common/wire/amf0.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  const ByteView input(data, size);
  auto values = amf0::decode(input);
  ByteView rest = input;
  std::size_t index = 0;
  while (!rest.empty()) {
    const std::size_t before = rest.size();
    auto value = amf0::decode_one(rest);
    if (!value) {
      INVARIANT(rest.size() == before);
      INVARIANT(!values.has_value());
      break;
    }
    INVARIANT(rest.size() < before);
    if (values) INVARIANT((*values)[index++] == *value);
  }
  if (!values) return 0;
  INVARIANT(values->size() == index);
  ByteBuffer written;
  for (const amf0::Value& value : *values) amf0::encode(value, written);
  INVARIANT(written.size() <= size, written.size(), size);
  auto again = amf0::decode(written);
  INVARIANT(again.has_value());
  INVARIANT(*again == *values);
  return 0;
}
