// proxy/access/access_setup.h
// Who may do what, out of the configuration. For start-up and reloads.
#pragma once

#include "common/config.h"
#include "proxy/access/access_control.h"

namespace weir {

// `node` is this node's name, as callbacks are told it. Throws ConfigError, with the option.
AccessSettings access_settings_of(const Config& config, const std::string& node);

}  // namespace weir
