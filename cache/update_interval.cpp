#include "cache/update_interval.h"

#include "common/wire/m3u8.h"
#include "common/wire/mpd.h"

namespace weir {

std::optional<UpdateInterval> update_interval(HttpKind kind, std::string_view text) {
  UpdateInterval found;
  if (kind == HttpKind::Playlist) {
    const auto facts = m3u8::inspect(text);
    if (!facts) return std::nullopt;
    found.unchanging = facts->multivariant || facts->ended;
    found.interval = facts->target_duration;
  } else if (kind == HttpKind::Manifest) {
    const auto facts = mpd::inspect(text);
    if (!facts || !facts->manifest) return std::nullopt;
    found.unchanging = !facts->dynamic;
    found.interval = facts->minimum_update_period;
  } else {
    return std::nullopt;
  }
  if (found.interval && *found.interval <= milliseconds(0)) found.interval.reset();
  return found;
}

}  // namespace weir
