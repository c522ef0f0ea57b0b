// Arguments of a URL are verified: any others than those that were signed are refused, wherever the
// signed ones stand among others they are found.
#include "common/access/url_signature.h"
#include "common/bytes.h"
#include "common/check.h"

using namespace weir;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::string> secrets{"a secret for fuzzing"};
  static const std::vector<std::string> names{"/live/cam"};
  static const std::string good =
      "expires=2000&sig=" + url_signature(secrets[0], AccessAction::Play, names[0], 2000);
  const std::string text(as_text(ByteView(data, size)));
  const auto verify = [](const std::string& query) {
    return verify_signed_url(secrets, AccessAction::Play, names, query, 1000);
  };
  INVARIANT(!verify(text), text);
  INVARIANT(verify(good + "&" + text), text);
  const bool apart = text.find("sig=") == text.npos && text.find("expires=") == text.npos;
  if (apart) INVARIANT(verify(text + "&" + good), text);
  for (const auto& name : access_names("__defaultVhost__" + text, text))
    INVARIANT(name.find('/') != name.npos, name);
  return 0;
}
