// common/http/static_files.h
// The files of a small web page, out of one folder: a player beside its streams.
//
//     auto file = files.find(request);              // nothing: somebody else's path
//     if (file) co_return co_await files.serve(client, request, std::move(*file));
//
// A file that is there goes before a stream or an origin's path of the same name; all other paths
// are none of ours. A folder is its index.html.
//
// No way out: a path is percent-decoded once; an escaped slash, a NUL, an empty segment and one that
// begins with a dot are no file's; and the kernel resolves the rest beneath the folder
// (openat2), so that a symbolic link may lead about in it and not out of it. What is no regular
// file is not there.
//
// Opening is a system call on the loop, for each request that asks; sending is sendfile(2), which
// waits for the disk when the page cache has not the file: fine for a page, wrong for a library of
// recordings.
//
// Threading: any loop; it never changes. Bounds: a descriptor for each request being answered.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "common/http/server_connection.h"
#include "common/wire/http1_range.h"

namespace weir::http {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_;
};

struct StaticFile {
  using Time = std::chrono::sys_time<std::chrono::nanoseconds>;

  Descriptor descriptor;
  std::uint64_t size = 0;
  Time modified = {};
  std::string_view type = {};  // Content-Type
  std::string moved_to = {};   // where a folder is that was asked for without its slash; else empty
};

class StaticFiles {
 public:
  // A client may take nothing for `stall`. Errors: System when the folder cannot be opened, or the
  // kernel has no openat2 (Linux 5.6).
  static Result<StaticFiles> open(const std::string& folder, milliseconds stall);

  std::optional<StaticFile> find(const Request& request) const;
  // Answers GET and HEAD, conditions and a range; 405 to other methods. Whether the connection may
  // carry another request.
  Task<bool> serve(ServerConnection& client, Request request, StaticFile file) const;

 private:
  StaticFiles(Descriptor folder, milliseconds stall) : folder_(std::move(folder)), stall_(stall) {}

  Task<Result<void>> send(Socket& socket, StaticFile file, Extent extent) const;

  Descriptor folder_;
  milliseconds stall_;
};

// The path of a file, relative to its folder ("./" for that itself), that a request's path names.
// Nothing: it can name none.
std::optional<std::string> static_file_path(std::string_view path);

// By the extension, in any case; application/octet-stream for others.
std::string_view content_type_of(std::string_view path);

}  // namespace weir::http
