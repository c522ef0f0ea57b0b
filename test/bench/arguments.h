// test/bench/arguments.h
// Command lines of the bench tools: --key=value and --flag, nothing else. An unknown key ends the process,
// for a benchmark with a misspelt option measures something else than was asked.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

namespace weir::bench {

class Arguments {
 public:
  // `defaults` names every option there is.
  Arguments(int argc, char** argv, std::map<std::string, std::string> defaults)
      : values_(std::move(defaults)) {
    for (int i = 1; i < argc; ++i) {
      const std::string_view word = argv[i];
      const auto equals = word.find('=');
      const std::string key(word.substr(0, equals).substr(word.starts_with("--") ? 2 : 0));
      const auto known = values_.find(key);
      if (known == values_.end()) usage(argv[0], word);
      known->second = equals == word.npos ? "1" : std::string(word.substr(equals + 1));
    }
  }

  const std::string& text(const std::string& key) const { return values_.at(key); }
  double number(const std::string& key) const { return std::atof(text(key).c_str()); }
  int integer(const std::string& key) const { return std::atoi(text(key).c_str()); }
  bool flag(const std::string& key) const { return integer(key) != 0; }

 private:
  [[noreturn]] void usage(const char* program, std::string_view word) const {
    std::fprintf(stderr, "unknown argument %.*s\nusage: %s", static_cast<int>(word.size()),
                 word.data(), program);
    for (const auto& [key, value] : values_)
      std::fprintf(stderr, " [--%s=%s]", key.c_str(), value.c_str());
    std::fprintf(stderr, "\n");
    std::exit(2);
  }

  std::map<std::string, std::string> values_;
};

}  // namespace weir::bench
