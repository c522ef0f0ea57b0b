#include "proxy/machine.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

namespace weir {
namespace {

std::string text_of(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The number behind `label` in a file of "label number" lines.
std::uint64_t number_behind(const std::string& text, const std::string& label) {
  const auto at = text.find(label);
  if (at == std::string::npos) return 0;
  std::istringstream rest(text.substr(at + label.size(), 64));
  std::uint64_t number = 0;
  rest >> number;
  return number;
}

// proc(5): the fields of /proc/self/stat behind the command's closing bracket begin with the third.
struct Stat {
  int ppid = 0;
  double cpu_ticks = 0;
  double begin_ticks = 0;
};

Stat read_stat() {
  const std::string text = text_of("/proc/self/stat");
  std::istringstream fields(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string skipped;
  Stat stat;
  double user = 0;
  double system = 0;
  fields >> skipped >> stat.ppid;
  for (int i = 5; i < 14; ++i) fields >> skipped;
  fields >> user >> system;
  for (int i = 16; i < 22; ++i) fields >> skipped;
  fields >> stat.begin_ticks;
  stat.cpu_ticks = user + system;
  return stat;
}

void read_network(MachineState& state) {
  std::istringstream devices(text_of("/proc/net/dev"));
  std::string line;
  while (std::getline(devices, line)) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::string name = line.substr(0, colon);
    name.erase(0, std::min(name.find_first_not_of(' '), name.size()));
    if (name == "lo") continue;
    std::istringstream numbers(line.substr(colon + 1));
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
    std::uint64_t skipped = 0;
    numbers >> received;
    for (int i = 0; i < 7; ++i) numbers >> skipped;
    numbers >> sent;
    state.received_bytes += received;
    state.sent_bytes += sent;
  }
  const std::string sockets = text_of("/proc/net/sockstat");
  state.tcp_sockets = number_behind(sockets, "TCP: inuse ");
  state.tcp_waiting = number_behind(sockets, " tw ");
  state.udp_sockets = number_behind(sockets, "UDP: inuse ");
}

void read_memory(MachineState& state) {
  const std::string memory = text_of("/proc/meminfo");
  state.memory_kb = number_behind(memory, "MemTotal:");
  state.memory_available_kb = number_behind(memory, "MemAvailable:");
  state.swap_kb = number_behind(memory, "SwapTotal:");
  state.swap_free_kb = number_behind(memory, "SwapFree:");
  std::istringstream pages(text_of("/proc/self/statm"));
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  pages >> size >> resident;
  state.process.memory_kb = resident * static_cast<std::uint64_t>(sysconf(_SC_PAGE_SIZE)) / 1024;
}

std::string current_directory() {
  char path[4096];
  return ::getcwd(path, sizeof(path)) != nullptr ? path : "";
}

}  // namespace

MachineState Machine::look() {
  MachineState state;
  state.process.pid = ::getpid();
  state.process.command = text_of("/proc/self/comm");
  if (!state.process.command.empty()) state.process.command.pop_back();  // its line's end
  state.process.directory = current_directory();
  state.cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  std::istringstream(text_of("/proc/uptime")) >> state.uptime_s >> state.idle_s;
  std::istringstream(text_of("/proc/loadavg")) >> state.load[0] >> state.load[1] >> state.load[2];
  read_memory(state);
  read_network(state);

  const Stat stat = read_stat();
  const auto second = static_cast<double>(sysconf(_SC_CLK_TCK));
  state.process.ppid = stat.ppid;
  state.process.uptime_s = std::max(0.0, state.uptime_s - stat.begin_ticks / second);

  Times now{.at = std::chrono::steady_clock::now(), .process = stat.cpu_ticks / second};
  std::istringstream cpu(text_of("/proc/stat"));
  std::string label;
  cpu >> label;
  double ticks = 0;
  for (int i = 0; i < 8 && cpu >> ticks; ++i) {
    const bool idle = i == 3 || i == 4;  // idle and iowait
    now.all += ticks;
    if (!idle) now.busy += ticks;
  }
  const std::lock_guard lock(mutex_);
  if (now.at - last_.at >= kLook) {
    before_ = last_;
    last_ = now;
  }
  const bool first = before_.at == std::chrono::steady_clock::time_point{};
  const double passed =
      first ? state.process.uptime_s : std::chrono::duration<double>(now.at - before_.at).count();
  if (passed > 0) state.process.cpu = (now.process - before_.process) / passed;
  if (now.all > before_.all) state.cpu = (now.busy - before_.busy) / (now.all - before_.all);
  return state;
}

}  // namespace weir
