// proxy/top_picture.h
// What `weir top` shows, read from the answers of a node's control API.
//
// Texts come from another process, and through it from its peers: here they lose whatever could be a
// command to a terminal.
//
// Threading: values. Bounds: kMaxStreams streams, as many as the API gives at once.
#pragma once

#include <string>
#include <vector>

#include "common/error.h"

namespace weir {

struct TopStream {
  std::string name{};    // without the default vhost
  std::string source{};  // "published", "from ID", "to ID", or empty
  std::string codecs{};  // "h264 aac"
  double kbps = 0;       // its own
  double sent_kbps = 0;  // to all its viewers
  std::size_t viewers = 0;
  double age_s = 0;
};

struct TopUpstream {
  std::string id{};
  std::string state{};  // "in use", "ejected", "drained", "gone"
  std::size_t streams = 0;
};

struct TopPicture {
  static constexpr std::size_t kMaxStreams = 1000;

  std::string server{};
  std::string version{};
  std::string role{};
  std::string state{};
  double up_s = 0;
  std::size_t clients = 0;
  std::size_t publishers = 0;
  std::size_t viewers = 0;
  double received_kbps = 0;
  double sent_kbps = 0;
  double cpu = 0;  // 1 is a whole core
  double memory_kb = 0;
  double load = 0;
  std::vector<double> loops{};
  std::size_t streams_total = 0;
  std::vector<TopStream> streams{};
  std::vector<TopUpstream> upstreams{};

  // Of /api/v1/summaries, /streams and /upstreams. Errors: Protocol, which names the answer.
  static Result<TopPicture> of(const std::string& summaries, const std::string& streams,
                               const std::string& upstreams);
};

// Control characters become '?', and what is no UTF-8 becomes U+FFFD.
std::string printable(std::string_view text);

}  // namespace weir
