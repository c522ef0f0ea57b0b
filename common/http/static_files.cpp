#include "common/http/static_files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "common/log.h"
#include "common/wire/hex.h"
#include "common/wire/http1_conditional.h"

namespace weir::http {

namespace {

constexpr std::string_view kIndex = "index.html";
constexpr std::size_t kMostAtOnce = 256 * 1024;  // of a file in one turn

struct Type {
  std::string_view extension;
  std::string_view name;
};

constexpr Type kTypes[] = {
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"json", "application/json"},
    {"map", "application/json"},
    {"webmanifest", "application/manifest+json"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"xml", "application/xml"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"ico", "image/x-icon"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"ttf", "font/ttf"},
    {"wasm", "application/wasm"},
    {"pdf", "application/pdf"},
    {"mp4", "video/mp4"},
    {"m4s", "video/iso.segment"},
    {"webm", "video/webm"},
    {"flv", "video/x-flv"},
    {"ts", "video/mp2t"},
    {"m3u8", "application/vnd.apple.mpegurl"},
    {"mpd", "application/dash+xml"},
    {"mp3", "audio/mpeg"},
    {"aac", "audio/aac"},
    {"vtt", "text/vtt; charset=utf-8"},
};

// Once. Nothing for a broken escape, an escaped slash, and control bytes.
std::optional<std::string> decode(std::string_view path) {
  std::string text;
  for (std::size_t i = 0; i < path.size(); ++i) {
    char c = path[i];
    if (c == '%') {
      if (path.size() - i < 3) return std::nullopt;
      const int high = hex_digit(path[i + 1]);
      const int low = hex_digit(path[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high << 4 | low);
      if (c == '/') return std::nullopt;
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    text += c;
  }
  return text;
}

// Without waiting for a FIFO's other end; a device is opened and, as no regular file, closed.
Descriptor open_beneath(int folder, const char* path) {
  open_how how{};
  how.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return Descriptor(static_cast<int>(::syscall(SYS_openat2, folder, path, &how, sizeof(how))));
}

Headers headers_of(const StaticFile& file) {
  const auto since_1970 = file.modified.time_since_epoch().count();
  return {{"Content-Type", std::string(file.type)},
          {"Last-Modified", format_date(std::chrono::floor<std::chrono::seconds>(file.modified))},
          {"ETag", fmt::format("\"{:x}-{:x}\"", since_1970, file.size)},
          {"Accept-Ranges", "bytes"},
          {"X-Content-Type-Options", "nosniff"}};
}

// The answer, and what of the file follows it.
struct Answer {
  Response head;
  Extent extent;
};

Answer bare(int status, Headers headers) {
  headers.set("Content-Length", "0");
  return {{.status = status, .headers = std::move(headers)}, {}};
}

Answer answer_to(const Request& request, const StaticFile& file) {
  if (request.method != "GET" && request.method != "HEAD")
    return bare(405, {{"Allow", "GET, HEAD"}});
  if (!file.moved_to.empty()) return bare(301, {{"Location", file.moved_to}});
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  Headers headers = headers_of(file);
  if (not_modified(request.headers, headers, now))
    return {{.status = 304, .headers = std::move(headers)}, {}};
  Answer answer{{.status = 200, .headers = std::move(headers)}, {0, file.size}};
  const auto field = request.headers.find("Range");
  // RFC 9110 14.2: ranges are for GET.
  const bool partial =
      field && request.method == "GET" && range_applies(request.headers, answer.head.headers, now);
  const auto range = partial ? parse_range(*field) : std::nullopt;
  if (range) {
    const auto extent = resolve(*range, file.size);
    if (!extent) return bare(416, {{"Content-Range", content_range(std::nullopt, file.size)}});
    answer.head.status = 206;
    answer.head.headers.set("Content-Range", content_range(extent, file.size));
    answer.extent = *extent;
  }
  set_framing(answer.head.headers, {BodyFraming::Length, answer.extent.length});
  if (request.method == "HEAD") answer.extent = {};
  return answer;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

std::optional<std::string> static_file_path(std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  path.remove_prefix(1);
  if (path.empty()) return "./";
  auto decoded = decode(path);
  if (!decoded) return std::nullopt;
  std::string_view rest = *decoded;
  while (!rest.empty()) {
    const std::string_view segment = rest.substr(0, rest.find('/'));
    if (segment.empty() || segment.starts_with('.')) return std::nullopt;
    rest.remove_prefix(std::min(segment.size() + 1, rest.size()));
  }
  return decoded;
}

std::string_view content_type_of(std::string_view path) {
  const auto dot = path.rfind('.');
  const auto extension = dot == path.npos ? std::string_view{} : path.substr(dot + 1);
  const auto known = std::ranges::find_if(kTypes, [extension](const Type& type) {
    return same_ignoring_case(type.extension, extension);
  });
  return known == std::end(kTypes) ? "application/octet-stream" : known->name;
}

Result<StaticFiles> StaticFiles::open(const std::string& folder, milliseconds stall) {
  Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.is_open() && open_beneath(opened.get(), ".").is_open())
    return StaticFiles(std::move(opened), stall);
  return fail(Errc::System, folder + ": " + std::strerror(errno));
}

std::optional<StaticFile> StaticFiles::find(const Request& request) const {
  const Target target = target_of(request);
  const auto path = static_file_path(target.path);
  if (!path) return std::nullopt;
  std::string name = *path;
  Descriptor descriptor = open_beneath(folder_.get(), name.c_str());
  struct stat status{};
  const auto look = [&] { return descriptor.is_open() && ::fstat(descriptor.get(), &status) == 0; };
  if (!look()) return std::nullopt;
  std::string moved_to;
  if (S_ISDIR(status.st_mode)) {
    const std::string_view mark = target.query.empty() ? "" : "?";
    if (!name.ends_with('/')) {
      moved_to = fmt::format("{}/{}{}", target.path, mark, target.query);
      name += '/';
    }
    name += kIndex;
    descriptor = open_beneath(folder_.get(), name.c_str());
    if (!look()) return std::nullopt;
  }
  if (!S_ISREG(status.st_mode)) return std::nullopt;
  const auto modified = std::chrono::seconds(status.st_mtim.tv_sec) +
                        std::chrono::nanoseconds(status.st_mtim.tv_nsec);
  return StaticFile{.descriptor = std::move(descriptor),
                    .size = static_cast<std::uint64_t>(status.st_size),
                    .modified = StaticFile::Time(modified),
                    .type = content_type_of(name),
                    .moved_to = std::move(moved_to)};
}

Task<bool> StaticFiles::serve(ServerConnection& client, Request request, StaticFile file) const {
  // A body, which nobody wants here, would be taken for the next request.
  const bool keep = keeps_alive(request) && client.body().ended();
  Answer answer = answer_to(request, file);
  if (!keep) answer.head.headers.add("Connection", "close");
  if (keep && request.minor_version == 0) answer.head.headers.add("Connection", "keep-alive");
  answer.head.reason = reason_phrase(answer.head.status);
  log::info("file asked for", {{"peer", client.socket().peer().text()},
                               {"method", request.method},
                               {"path", target_of(request).path},
                               {"status", answer.head.status},
                               {"bytes", answer.extent.length}});
  std::string head;
  write(answer.head, head);
  auto sent = co_await client.respond(std::move(head));
  if (sent) sent = co_await send(client.socket(), std::move(file), answer.extent);
  if (!sent) client.failed(sent.error().code);
  if (sent && !keep) co_await client.close_gently();
  co_return sent&& keep;
}

Task<Result<void>> StaticFiles::send(Socket& socket, StaticFile file, Extent extent) const {
  while (extent.length > 0) {
    const auto most = std::min<std::uint64_t>(extent.length, kMostAtOnce);
    auto sent =
        socket.try_send_file(file.descriptor.get(), extent.first, static_cast<std::size_t>(most));
    if (!sent) co_return std::unexpected(sent.error());
    extent.first += *sent;
    extent.length -= *sent;
    if (*sent > 0) continue;
    auto ready = co_await socket.writable(socket.loop().in(stall_));
    if (!ready) co_return ready;
  }
  co_return Result<void>{};
}

}  // namespace weir::http
