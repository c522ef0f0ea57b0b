#include "proxy/console_files.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/config_sources.h"
#include "common/http/static_files.h"
#include "proxy/upstream.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndex = "index.html";

// Names and addresses; nothing that could end a header or a policy's directive.
bool is_plain(std::string_view host) {
  return !host.empty() && std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
}

std::string_view without_port(std::string_view authority) {
  return authority.substr(0, authority.rfind(':'));
}

// Scripts that some file of the package was made of, and what tells npm about them, stay where they are.
bool is_served(const fs::path& file) {
  const auto name = file.filename().string();
  return !name.starts_with('.') && !name.starts_with("package");
}

}  // namespace

std::string ConsoleFiles::folder_of_program() {
  std::error_code failed;
  const auto program = fs::read_symlink("/proc/self/exe", failed);
  if (failed) return {};
  const auto beside = program.parent_path();
  for (const auto& folder : {beside / "console", beside.parent_path() / "share/weir/console"})
    if (fs::is_regular_file(folder / kIndex, failed)) return folder.string();
  return {};
}

ConsoleFiles::ConsoleFiles(const std::string& folder, std::vector<Media> media)
    : media_(std::move(media)) {
  try {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file() || !is_served(entry.path())) continue;
      if (entry.file_size() > kMaxFile || files_.size() == kMaxFiles)
        throw ConfigError(
            fmt::format("console.path: {}: more than {} files, or one of more than {} bytes",
                        folder, kMaxFiles, kMaxFile));
      std::ifstream in(entry.path(), std::ios::binary);
      File file{.body = {std::istreambuf_iterator<char>(in), {}},
                .type = std::string(http::content_type_of(entry.path().string())),
                .etag = {}};
      if (!in) throw ConfigError("console.path: cannot read " + entry.path().string());
      file.etag = fmt::format("\"{:016x}\"", stable_hash(file.body));
      files_.emplace(fs::relative(entry.path(), folder).generic_string(), std::move(file));
    }
  } catch (const fs::filesystem_error& error) {
    throw ConfigError("console.path: " + error.code().message() + ": " + folder);
  }
  if (!files_.contains(kIndex))
    throw ConfigError("console.path: there is no index.html in " + folder);
}

bool ConsoleFiles::owns(std::string_view path) {
  return path == "/" || path.starts_with(kRoot) || path == kRoot.substr(0, kRoot.size() - 1);
}

SystemAnswer ConsoleFiles::answer(const SystemRequest& request) const {
  auto path = request.target.substr(0, request.target.find('?'));
  if (!path.starts_with(kRoot))
    return {.status = 302, .headers = {{"Location", std::string(kRoot)}}};
  path.remove_prefix(kRoot.size());
  const auto found = files_.find(path.empty() ? kIndex : path);
  if (found == files_.end()) return refusal(404, "no such file of the console");
  const File& file = found->second;
  SystemAnswer answer{.status = 200,
                      .type = file.type,
                      .headers = {{"Cache-Control", "no-cache"},
                                  {"ETag", file.etag},
                                  {"Content-Security-Policy", policy(request.host)},
                                  {"Referrer-Policy", "no-referrer"},
                                  {"Cross-Origin-Opener-Policy", "same-origin"}}};
  if (request.if_none_match == file.etag)
    answer.status = 304;
  else
    answer.body = file.body;
  return answer;
}

std::string ConsoleFiles::policy(std::string_view host) const {
  const auto page = without_port(host);
  std::string media;
  for (const Media& each : media_) {
    const std::string_view at = each.at.host.empty() ? page : std::string_view(each.at.host);
    const char* socket = each.scheme == "https" ? "wss" : "ws";
    // A policy has no way to write an IPv6 address.
    media += is_plain(at) ? fmt::format(" {0}://{2}:{3} {1}://{2}:{3}", each.scheme, socket, at,
                                        each.at.port)
                          : fmt::format(" {}: {}:", each.scheme, socket);
  }
  return fmt::format(
      "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' "
      "data:; "
      "connect-src 'self'{0}; media-src 'self' blob:{0}; base-uri 'none'; form-action 'none'; "
      "frame-ancestors 'none'",
      media);
}

}  // namespace weir
