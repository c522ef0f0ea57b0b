// proxy/console_files.h
// The web console at /console/: the files of one folder, with the headers that let a browser do with
// them what the console does, and nothing else.
//
// They are read once, at the start, so no request opens a file and no path leads anywhere. The page
// is a reader of the control API like any other: what it shows needs the API's token.
//
// The policy (Content-Security-Policy) allows scripts and styles of these files alone, and connections
// to this listener and to the node's own HTTP listeners, where players get their media.
//
// Threading: constant after construction. Bounds: kMaxFiles files of kMaxFile.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/endpoint.h"
#include "proxy/system_answer.h"

namespace weir {

class ConsoleFiles {
 public:
  static constexpr std::string_view kRoot = "/console/";
  static constexpr std::size_t kMaxFiles = 256;
  static constexpr std::size_t kMaxFile = 4 << 20;

  // Where players connect to; no host: the one that the page came from.
  struct Media {
    std::string scheme;  // "http" or "https"
    Endpoint at;
  };

  // Where the files are that belong to this program: beside it in a build, else as it is installed;
  // empty: nowhere.
  static std::string folder_of_program();

  // Throws ConfigError when the folder has no index.html, or cannot be read.
  ConsoleFiles(const std::string& folder, std::vector<Media> media);

  // Whether it is a path of the console, or the bare "/" that leads there.
  static bool owns(std::string_view path);
  // REQUIRES: owns() and GET or HEAD.
  SystemAnswer answer(const SystemRequest& request) const;

 private:
  struct File {
    std::string body;
    std::string type;
    std::string etag;
  };

  std::string policy(std::string_view host) const;

  std::map<std::string, File, std::less<>> files_;  // by their path below the folder
  std::vector<Media> media_;
};

}  // namespace weir
