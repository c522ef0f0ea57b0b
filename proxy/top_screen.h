// proxy/top_screen.h
// How `weir top` looks: a picture in, lines out, no terminal needed.
//
//     weir edge-1   edge, ready for 1h 02m                                   weir 0.1.0
//     viewers 53   publishers 1   clients 54   streams 4   upstreams 1 of 1 in use
//     out 39.4 Mb/s   in 740 kb/s   process 4%   memory 32 MiB   load 2.67
//     loops  0 [####......]  41%   1 [..........]   3%
//
//     STREAM            SOURCE        CODECS       BIT RATE  VIEWERS        OUT      AGE
//     live/main-stage   from proxy-a  h264 aac     740 kb/s       31  22.9 Mb/s   1m 12s
//
// Threading: pure functions. Bounds: as many lines as the screen has.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proxy/top_picture.h"

namespace weir {

enum class TopSort { Viewers, Rate, Name, Age };

// "viewers", "rate", "name" or "age".
std::optional<TopSort> top_sort_named(std::string_view name);
std::string_view name(TopSort sort);

struct TopScreen {
  std::size_t columns = 100;
  std::optional<std::size_t> rows{};  // none: as many as it takes
  bool colours = false;
  TopSort sort = TopSort::Viewers;
  std::size_t first = 0;  // of the streams, in their order
  std::string trouble{};  // why the picture is old; empty: it is not

  // Without line ends. `picture` may be null: there has been none yet.
  std::vector<std::string> lines(const TopPicture* picture) const;
};

}  // namespace weir
