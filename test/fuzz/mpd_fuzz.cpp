// Any bytes as a manifest: bound to an origin once and for all, and what a cache reads in it stays.
#include "common/wire/mpd.h"

#include "common/bytes.h"
#include "test/fuzz/origin_rewriting_oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  const std::string_view text = as_text(ByteView(data, size));
  const mpd::Limits limits{.bytes = 65536};
  const auto rewrite = [&](std::string_view document, const UriRewriter& rewriter) {
    return mpd::rewrite(document, rewriter, limits);
  };
  test::check_rewriting(text, rewrite);
  const auto facts = mpd::inspect(text, limits);
  const auto bound = rewrite(
      text, [](std::string_view uri, UriUse use) { return test::tier(false).bind(uri, use); });
  INVARIANT(facts.has_value() || !bound.has_value());
  if (!bound) return 0;
  const auto later = mpd::inspect(*bound, limits);
  INVARIANT(later ? *later == *facts : later.error().code == Errc::Limit);
  return 0;
}
