// Any bytes as what hops say of a request: whom they name can be written again, what is named does
// not depend on members before it, and nothing of a stranger's is passed on.
#include "common/check.h"
#include "common/http/forwarded.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  using namespace weir::http;
  using Kind = ForwardedNode::Kind;
  const std::string text(reinterpret_cast<const char*>(data), size);

  for (const auto& node : read_forwarded(text)) {
    if (node.kind != Kind::Address) continue;
    const auto again = read_forwarded(forwarded_for(node.address));
    INVARIANT(again.size() == 1 && again[0].kind == Kind::Address);
    INVARIANT(again[0].address.host() == node.address.host());
  }

  static const TrustedHops hops{.from = *CidrList::parse("10.0.0.0/8, fd00::/8")};
  const Address hop = *Address::parse("10.0.0.1", 1);
  for (const char* name : {"X-Forwarded-For", "Forwarded"}) {
    const bool older = name[0] == 'X';
    Headers headers{{name, text}};
    const auto alone = take_client(headers, hop, &hops);
    INVARIANT(headers.has(name));
    // Whatever a client writes, the hop's own words behind it, in a field of their own, decide.
    headers.add(name, older ? "192.0.2.1" : "for=192.0.2.1");
    const auto behind = take_client(headers, hop, &hops);
    INVARIANT(!behind || (*behind && (**behind).host() == "192.0.2.1"));
    INVARIANT(behind || behind.error().code == Errc::Limit);
    // In the same one, at least it never is another address.
    Headers joined{{name, text + (older ? ", 192.0.2.1" : ", for=192.0.2.1")}};
    const auto glued = take_client(joined, hop, &hops);
    INVARIANT(!glued || (*glued && (**glued).host() == "192.0.2.1"));
    if (alone && *alone) INVARIANT(!(**alone).host().empty());
    const auto stranger = take_client(headers, *Address::parse("192.0.2.9", 1), &hops);
    INVARIANT(stranger && (**stranger).host() == "192.0.2.9" && headers.empty());
  }
  return 0;
}
