// Any text as the fields that a cache reads. What is read must hold its promises, and dates come back
// as they were written.
#include <cstdlib>

#include "common/bytes.h"
#include "common/wire/http1_cache_control.h"
#include "common/wire/http1_conditional.h"
#include "common/wire/http1_range.h"

namespace {
void require(bool condition) {
  if (!condition) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weir::http;
  const std::string text(weir::as_text({data, size}));
  const Date now = Date(std::chrono::seconds(1767225600));

  const Headers headers{{"Cache-Control", text}};
  const CacheControl control = cache_control_of(headers);
  for (const auto& lifetime : {control.max_age, control.s_maxage, control.max_stale,
                               control.min_fresh, control.stale_if_error}) {
    require(!lifetime || (lifetime->count() >= 0 && *lifetime <= CacheControl::kForever));
  }

  if (const auto range = parse_range(text)) {
    for (const std::uint64_t length :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 40}) {
      const auto extent = resolve(*range, length);
      require(!extent || (extent->length > 0 && extent->end() <= length));
    }
  }

  if (const auto date = parse_date(text, now)) require(parse_date(format_date(*date), now) == date);

  const Headers stored{{"ETag", text}, {"Last-Modified", text}};
  const Headers request{{"If-None-Match", text}, {"If-Range", text}};
  not_modified(request, stored, now);
  range_applies(request, stored, now);
  return 0;
}
