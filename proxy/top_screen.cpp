#include "proxy/top_screen.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace weir {
namespace {

constexpr std::size_t kBar = 10;
constexpr std::size_t kMostLoops = 16;
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kFaint = "\x1b[2m";
constexpr std::string_view kReverse = "\x1b[7m";
constexpr std::string_view kGood = "\x1b[32m";
constexpr std::string_view kBad = "\x1b[31m";
constexpr std::string_view kPlain = "\x1b[0m";

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, begins_character));
}

std::string cut(std::string_view text, std::size_t most) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (begins_character(text[i]) && ++width > most) return std::string(text.substr(0, i));
  return std::string(text);
}

std::string left(std::string_view text, std::size_t width) {
  std::string out = cut(text, width);
  return out.append(width - width_of(out), ' ');
}

std::string right(std::string_view text, std::size_t width) {
  const std::string out = cut(text, width);
  return std::string(width - width_of(out), ' ') + out;
}

std::string scaled(double value, double step, const std::array<std::string_view, 4>& units) {
  std::size_t unit = 0;
  for (; value >= step && unit + 1 < units.size(); ++unit) value /= step;
  const int digits = unit == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return fmt::format("{:.{}f} {}", value, digits, units[unit]);
}

std::string rate(double kbps) { return scaled(kbps, 1000, {"kb/s", "Mb/s", "Gb/s", "Tb/s"}); }
std::string memory(double kb) { return scaled(kb, 1024, {"KiB", "MiB", "GiB", "TiB"}); }

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::max(seconds, 0.0));
  const auto minutes = whole / 60;
  const auto hours = minutes / 60;
  if (hours >= 24) return fmt::format("{}d {:02}h", hours / 24, hours % 24);
  if (hours > 0) return fmt::format("{}h {:02}m", hours, minutes % 60);
  if (minutes > 0) return fmt::format("{}m {:02}s", minutes, whole % 60);
  return fmt::format("{}s", whole);
}

int percent(double share) { return static_cast<int>(std::lround(share * 100)); }

std::string bar(double share) {
  const auto full = static_cast<std::size_t>(
      std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(kBar)));
  return fmt::format("[{}{}]", std::string(full, '#'), std::string(kBar - full, '.'));
}

struct Column {
  std::string_view title;
  std::size_t width;
  bool number;
  std::string (*text)(const TopStream&);
};

constexpr std::size_t kLeastName = 12;
constexpr std::size_t kMostName = 48;

// From left to right; those that matter least go first when there is no room.
constexpr Column kColumns[] = {
    {"SOURCE", 18, false, [](const TopStream& each) { return each.source; }},
    {"CODECS", 10, false, [](const TopStream& each) { return each.codecs; }},
    {"BIT RATE", 10, true, [](const TopStream& each) { return rate(each.kbps); }},
    {"VIEWERS", 8, true, [](const TopStream& each) { return fmt::format("{}", each.viewers); }},
    {"OUT", 10, true, [](const TopStream& each) { return rate(each.sent_kbps); }},
    {"AGE", 8, true, [](const TopStream& each) { return duration(each.age_s); }},
};
constexpr std::size_t kGoneFirst[] = {1, 5, 0, 4, 2};

class Painter {
 public:
  Painter(const TopScreen& screen) : screen_(screen) {}

  std::string in(std::string_view style, std::string_view text) const {
    return screen_.colours ? fmt::format("{}{}{}", style, text, kPlain) : std::string(text);
  }

  void head(const TopPicture& picture, std::vector<std::string>& lines) const {
    const auto title = fmt::format("weir {}", picture.server);
    const auto state =
        fmt::format("{}, {} for {}", picture.role, picture.state, duration(picture.up_s));
    const auto version = fmt::format("weir {}", picture.version);
    auto line = in(kBold, cut(title, screen_.columns));
    std::size_t used = std::min(width_of(title), screen_.columns);
    if (used + 3 + state.size() <= screen_.columns) {
      line += "   " + in(picture.state == "ready" ? kGood : kBad, state);
      used += 3 + state.size();
      if (used + 3 + version.size() <= screen_.columns)
        line += std::string(screen_.columns - used - version.size(), ' ') + in(kFaint, version);
    }
    lines.push_back(std::move(line));
    add_parts({fmt::format("viewers {}", picture.viewers),
               fmt::format("publishers {}", picture.publishers),
               fmt::format("clients {}", picture.clients),
               fmt::format("streams {}", picture.streams_total), upstreams(picture)},
              lines);
    add_parts({"out " + rate(picture.sent_kbps), "in " + rate(picture.received_kbps),
               fmt::format("process {}%", percent(picture.cpu)),
               "memory " + memory(picture.memory_kb), fmt::format("load {:.2f}", picture.load)},
              lines);
    std::vector<std::string> loops{"loops"};
    for (std::size_t i = 0; i < std::min(picture.loops.size(), kMostLoops); ++i)
      loops.push_back(
          fmt::format("{} {} {:3}%", i, bar(picture.loops[i]), percent(picture.loops[i])));
    add_parts(loops, lines);
  }

  void streams(const TopPicture& picture, std::vector<std::string>& lines) const {
    const auto columns = chosen();
    std::size_t room = screen_.columns;
    for (const Column* column : columns) room -= std::min(room, column->width + 1);
    std::size_t longest = kLeastName;
    for (const auto& each : picture.streams) longest = std::max(longest, width_of(each.name));
    const std::size_t name_width = std::min({std::max(room, std::size_t{1}), longest, kMostName});

    std::string titles = left("STREAM", name_width);
    for (const Column* column : columns)
      titles += " " + (column->number ? right(column->title, column->width)
                                      : left(column->title, column->width));
    lines.push_back(in(kReverse, cut(titles, screen_.columns)));
    const auto order = ordered(picture.streams);
    for (std::size_t i = std::min(screen_.first, order.size()); i < order.size(); ++i) {
      std::string line = left(order[i]->name, name_width);
      for (const Column* column : columns) {
        const auto text = column->text(*order[i]);
        line += " " + (column->number ? right(text, column->width) : left(text, column->width));
      }
      lines.push_back(cut(line, screen_.columns));
    }
    if (order.empty()) lines.push_back(in(kFaint, "no stream here"));
  }

 private:
  static std::string upstreams(const TopPicture& picture) {
    const auto& all = picture.upstreams;
    if (all.empty()) return "no upstream";
    const auto used = std::ranges::count(all, "in use", &TopUpstream::state);
    std::string text = fmt::format("upstreams {} of {} in use", used, all.size());
    for (const auto& each : all)
      if (each.state != "in use") text += fmt::format(", {} {}", each.id, each.state);
    return text;
  }

  // As many a line as there is room for.
  void add_parts(const std::vector<std::string>& parts, std::vector<std::string>& lines) const {
    constexpr std::string_view kGap = "   ";
    std::string line;
    for (const auto& part : parts) {
      if (!line.empty() && width_of(line) + kGap.size() + width_of(part) > screen_.columns) {
        lines.push_back(std::move(line));
        line.clear();
      }
      if (!line.empty()) line += kGap;
      line += cut(part, screen_.columns);
    }
    lines.push_back(std::move(line));
  }

  std::vector<const Column*> chosen() const {
    std::vector<const Column*> columns;
    std::size_t width = kLeastName;
    for (const Column& column : kColumns) {
      columns.push_back(&column);
      width += column.width + 1;
    }
    for (const std::size_t at : kGoneFirst) {
      if (width <= screen_.columns) break;
      std::erase(columns, &kColumns[at]);
      width -= kColumns[at].width + 1;
    }
    return columns;
  }

  std::vector<const TopStream*> ordered(const std::vector<TopStream>& streams) const {
    std::vector<const TopStream*> order;
    for (const auto& each : streams) order.push_back(&each);
    std::ranges::stable_sort(order, {}, &TopStream::name);
    const auto by = [&order](auto value) {
      std::ranges::stable_sort(order, std::greater{}, value);
    };
    switch (screen_.sort) {
      case TopSort::Viewers: by(&TopStream::viewers); break;
      case TopSort::Rate: by(&TopStream::kbps); break;
      case TopSort::Age: by(&TopStream::age_s); break;
      case TopSort::Name: break;
    }
    return order;
  }

  const TopScreen& screen_;
};

constexpr std::pair<std::string_view, TopSort> kSorts[] = {{"viewers", TopSort::Viewers},
                                                           {"rate", TopSort::Rate},
                                                           {"name", TopSort::Name},
                                                           {"age", TopSort::Age}};

}  // namespace

std::optional<TopSort> top_sort_named(std::string_view name) {
  for (const auto& [word, sort] : kSorts)
    if (word == name) return sort;
  return std::nullopt;
}

std::string_view name(TopSort sort) {
  for (const auto& [word, each] : kSorts)
    if (each == sort) return word;
  return "";
}

std::vector<std::string> TopScreen::lines(const TopPicture* picture) const {
  const Painter painter(*this);
  std::vector<std::string> lines;
  if (picture != nullptr) painter.head(*picture, lines);
  if (!trouble.empty()) lines.push_back(painter.in(kBad, cut(trouble, columns)));
  lines.emplace_back();
  if (picture != nullptr) painter.streams(*picture, lines);
  if (!rows) return lines;
  lines.resize(*rows);
  if (*rows > 0)
    lines.back() = painter.in(
        kFaint,
        cut(fmt::format("q quit   s sort (by {})   up, down, space scroll", name(sort)), columns));
  return lines;
}

}  // namespace weir
