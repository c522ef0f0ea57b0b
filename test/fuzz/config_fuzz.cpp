// Configuration files. A file is either refused by one line that names it, or what is printed of it reads
// back as the same configuration. The same bytes also serve as a .env file.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/check.h"
#include "common/config.h"
#include "common/options.h"

namespace {

void check_one_line(std::string_view message) {
  INVARIANT(!message.empty());
  for (const char c : message) INVARIANT(static_cast<unsigned char>(c) >= 0x20, message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::optional<weir::Config> config;
  try {
    config = weir::Config::from_settings(weir::read_ini(text, "f"));
  } catch (const weir::ConfigError& error) {
    check_one_line(error.what());
    INVARIANT(std::string_view(error.what()).starts_with("f:"), error.what());
  }
  if (config) {
    const auto again = weir::Config::from_settings(weir::read_ini(config->print(), "f"));
    for (const weir::Option& option : weir::options()) {
      const bool shown = !option.is_pattern() && option.kind != weir::Kind::Secret;
      if (shown) INVARIANT(again.text(option.key) == config->text(option.key), option.key);
    }
    INVARIANT(again.upstreams().size() == config->upstreams().size());
  }
  try {
    (void)weir::Config::load({{}, {}, text, {}, {}});
  } catch (const weir::ConfigError& error) {
    check_one_line(error.what());
  }
  return 0;
}
