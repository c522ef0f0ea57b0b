#include "proxy/console.h"

#include "common/config.h"
#include "proxy/state_file.h"

namespace weir {
namespace {

std::optional<ConsoleFiles> files_of(const Config& config) {
  const std::string& wanted = config.text("console.path");
  const std::string folder = wanted == "auto" ? ConsoleFiles::folder_of_program() : wanted;
  if (folder.empty()) return std::nullopt;
  const auto on = config.listeners();
  std::vector<ConsoleFiles::Media> media;
  for (const auto& [option, scheme] :
       {std::pair{"listen.http", "http"}, std::pair{"listen.https", "https"}})
    if (on.contains(option)) media.push_back({scheme, *config.listen(option)});
  return ConsoleFiles(folder, std::move(media));
}

std::map<std::string, std::string> listeners_of(const Config& config) {
  constexpr std::string_view kSection = "listen.";
  std::map<std::string, std::string> listeners;
  for (const auto& [option, at] : config.listeners())
    listeners.emplace(option.substr(kSection.size()), at);
  return listeners;
}

}  // namespace

Console::Console(const Config& config, const NodeIdentity& identity, ControlView& view)
    : files_(files_of(config)),
      picture_{.identity = identity, .listen = listeners_of(config)},
      events_({.picture = [this, &view]() -> Result<std::string> {
                 auto picture = view.picture();
                 if (!picture) return std::unexpected(picture.error());
                 return picture_.text(std::move(*picture));
               },
               .sample =
                   [this, &view] {
                     if (const auto node = view.node())
                       history_.add(wall_now().time_since_epoch().count(), *node);
                   }},
              {.sampling = NodeHistory::kPeriod}) {}

void Console::join(SystemPages::Handlers& handlers) {
  if (files_)
    handlers.console = [this](const SystemRequest& request) { return files_->answer(request); };
  handlers.control.history = [this] { return history_.json(); };
  handlers.control.events = [this] { return events_.room(); };
}

}  // namespace weir
