#include "common/options.h"

#include <algorithm>
#include <vector>

namespace weir {
namespace {

constexpr std::size_t kMaxKeyToCorrect = 64;

constexpr Section kSections[] = {
    {"", "General"},
    {"listen",
     "Where this node is reached. Two listeners of one transport never share an address."},
    {"system", "The registration of origins, on listen.system."},
    {"api", "The control API: all of it on listen.system, what changes nothing on listen.api."},
    {"console", "The web console: /console/ on listen.system."},
    {"node", "This node among others."},
    {"upstream.*",
     "One section [upstream.NAME] for each server to pull from or relay to: origins for a proxy; "
     "proxies, origins or other edges for an edge. An edge without any serves what is published to "
     "it."},
    {"origin", "How upstreams, configured or registered, are tried and judged."},
    {"health", "Active probes of upstreams."},
    {"route", "Which origin serves which stream."},
    {"state", "Where routes and registered origins are remembered."},
    {"upstream", "Upstreams that do not stand here by name."},
    {"redis", "The server that nodes share, for state.backend and upstream.discover = redis."},
    {"tls", "TLS towards clients: on listen.rtmps and on those that end in https."},
    {"webrtc", "WebRTC media and what clients are told about it."},
    {"edge", "Pulling streams and serving them to many."},
    {"viewer", "Bounds of one viewer."},
    {"publisher", "Bounds of one publisher."},
    {"cache", "What an edge keeps of what it fetches over HTTP: playlists, segments, anything."},
    {"rtmp", "Bounds of RTMP connections."},
    {"http", "Bounds of HTTP connections, and files."},
    {"rtsp", "Bounds of RTSP connections."},
    {"srt", "Bounds of SRT sessions."},
    {"limits", "Bounds of the whole process."},
    {"access", "Who may publish and play, in every protocol."},
    {"access.publish", "Who may publish."},
    {"access.play", "Who may play."},
    {"access.sign", "URLs that carry their own permission: ?expires=...&sig=..."},
    {"access.jwt", "Tokens: Authorization: Bearer, or an argument of the URL."},
    {"access.hook",
     "HTTP callbacks as SRS makes them. Each takes URLs (http:// or https://), with spaces between "
     "them, that are asked one after the other: all must say yes."},
    {"proxy_protocol", "Whose connections those of a load balancer are."},
    {"forwarded", "Whose requests those of an HTTP proxy are."},
    {"streams", "Bounds of what is remembered about streams."},
    {"log", "The log goes to standard error."},
    {"access_log", "One line of JSON for each client that has gone."},
    {"metrics", "What /metrics shows."},
    {"shutdown", "The end after SIGTERM or SIGINT. A second signal ends at once."},
    {"upgrade",
     "SIGUSR2 starts the program that is on disk, which takes the place of the one that runs."},
};

constexpr Option kOptions[] = {
    {"role", Kind::Choice, "edge", "proxy|edge",
     "proxy spreads streams over origins; edge pulls each stream once and serves many viewers."},
    {"workers", Kind::Integer, "0", "0..256", "Event loops, one thread each; 0 is one per core."},
    {"balance", Kind::Choice, "auto", "auto|least_streams|weighted_random|rendezvous",
     "How a new stream gets its upstream. auto is rendezvous on an edge, so that all edges ask the "
     "same upstream for a stream, and least_streams on a proxy."},

    {"listen.rtmp", Kind::Listen, "1935", "", "RTMP, over TCP.", "PROXY_RTMP_SERVER"},
    {"listen.http", Kind::Listen, "8080", "", "HTTP-FLV and everything else over HTTP.",
     "PROXY_HTTP_SERVER"},
    {"listen.api", Kind::Listen, "1985", "",
     "HTTP API that changes nothing, health, metrics; on a proxy WebRTC signalling (WHIP, WHEP), "
     "where clients of SRS look for it.",
     "PROXY_HTTP_API"},
    {"listen.webrtc", Kind::Listen, "8000", "", "WebRTC media, over UDP and TCP.",
     "PROXY_WEBRTC_SERVER"},
    {"listen.srt", Kind::Listen, "10080", "", "SRT, over UDP.", "PROXY_SRT_SERVER"},
    {"listen.rtsp", Kind::Listen, "", "", "RTSP, over TCP.", "", Roles::Proxy},
    {"listen.system", Kind::Listen, "127.0.0.1:12025", "",
     "HTTP API where origins register and that changes things. A bare port opens it to other "
     "hosts; "
     "see system.allow and api.token.",
     "PROXY_SYSTEM_API"},
    {"listen.rtmps", Kind::Listen, "", "", "RTMP over TLS; the usual port is 443 or 1936."},
    {"listen.https", Kind::Listen, "", "", "What listen.http serves, and WSS, over TLS."},
    {"listen.api_https", Kind::Listen, "", "", "What listen.api serves, over TLS."},
    {"listen.system_https", Kind::Listen, "", "", "What listen.system serves, over TLS."},

    {"system.allow", Kind::CidrList, "loopback, private", "",
     "Who may register: addresses and networks, or the words loopback and private."},

    {"api.token", Kind::Secret, "", "",
     "Who sends it (Authorization: Bearer) may use the control API, and nobody else. Without one "
     "everybody may look, and only this machine may change anything."},

    {"console.path", Kind::Text, "auto", "",
     "The folder with its files; auto finds those that came with this program, and is off where "
     "there are none. Empty is off."},

    {"node.id", Kind::Text, "", "",
     "The name of this node, by which edges detect loops and logs tell nodes apart. Random when "
     "empty."},
    {"node.advertise", Kind::Text, "", "",
     "Where edges that discover this proxy reach it: an address or a name. Empty is the address "
     "from "
     "which it reaches Redis.",
     "", Roles::Proxy},
    {"node.zone", Kind::Text, "", "",
     "Where this node stands. Upstreams of the same zone come first, while one of them is in "
     "use."},

    {"upstream.*.enabled", Kind::Boolean, "on", "", "Off leaves the section out.",
     "PROXY_DEFAULT_BACKEND_ENABLED"},
    {"upstream.*.host", Kind::Text, "", "", "Address or name; names are resolved again on failure.",
     "PROXY_DEFAULT_BACKEND_IP"},
    {"upstream.*.rtmp", Kind::Remote, "", "", "RTMP.", "PROXY_DEFAULT_BACKEND_RTMP"},
    {"upstream.*.http", Kind::Remote, "", "", "HTTP-FLV, HLS.", "PROXY_DEFAULT_BACKEND_HTTP"},
    {"upstream.*.api", Kind::Remote, "", "", "HTTP API.", "PROXY_DEFAULT_BACKEND_API"},
    {"upstream.*.webrtc", Kind::Remote, "", "", "WebRTC media.", "PROXY_DEFAULT_BACKEND_RTC"},
    {"upstream.*.srt", Kind::Remote, "", "", "SRT.", "PROXY_DEFAULT_BACKEND_SRT"},
    {"upstream.*.rtsp", Kind::Remote, "", "", "RTSP."},
    {"upstream.*.weight", Kind::Integer, "1", "1..1000", "Its share of the streams."},
    {"upstream.*.zone", Kind::Text, "", "", "Where it stands, for preferring what is near."},
    {"upstream.*.tls_name", Kind::Text, "", "",
     "The name that its certificate is for and that it is asked for, where that is not the host of "
     "an endpoint over TLS."},
    {"upstream.*.tls_ca", Kind::Text, "", "",
     "A PEM file of the authorities that its certificate must lead to; empty is the system's "
     "store."},
    {"upstream.*.tls_verify", Kind::Boolean, "on", "",
     "Off takes whatever certificate it shows: anybody on the way can then read and change all of "
     "it."},
    {"upstream.*.proxy_protocol", Kind::Choice, "off", "off|v2",
     "v2 begins every TCP connection to it with a PROXY header that says whom it is for, so it "
     "must expect them; HTTP connections for a client are not used again then."},

    {"upstream.discover", Kind::Choice, "off", "off|redis",
     "redis finds the proxies that share one, beside the sections above.", "", Roles::Edge},

    {"origin.connect_timeout", Kind::Duration, "1s", "10ms..1m", "To connect to an upstream."},
    {"origin.reply_timeout", Kind::Duration, "3s", "10ms..5m",
     "From the request to the upstream's first answer."},
    {"origin.lifetime", Kind::Duration, "30s", "1s..1h",
     "A registered origin without a heartbeat for this long is gone."},
    {"origin.eject", Kind::Duration, "5s", "100ms..1h",
     "A failing upstream is left out this long, and longer each time it fails again."},
    {"origin.eject_max", Kind::Duration, "60s", "100ms..24h", "The longest of these."},
    {"origin.slow_start", Kind::Duration, "30s", "0..1h",
     "An upstream that joins or recovers gets its full share of new streams only after this long; "
     "not with balance = rendezvous."},
    {"origin.max", Kind::Integer, "1000", "1..100000", "Registered origins.", "", Roles::Proxy},

    {"health.check", Kind::Choice, "auto", "off|auto|tcp|rtmp|http",
     "How upstreams are probed. auto is the RTMP handshake, or a GET where RTMP is not offered; "
     "tcp "
     "does not notice a server that hangs."},
    {"health.path", Kind::Text, "/", "", "What http gets; any answer below 500 is good."},
    {"health.interval", Kind::Duration, "1s", "100ms..1h", "Between two probes of an upstream."},
    {"health.timeout", Kind::Duration, "1s", "10ms..1m", "For each."},
    {"health.fall", Kind::Integer, "3", "1..100",
     "Bad probes in a row that put an upstream out of use; one that is refused does at once."},
    {"health.rise", Kind::Integer, "2", "1..100",
     "Good probes in a row that put it back in use, times the number of its latest failures."},

    {"route.expire", Kind::Duration, "60s", "1s..24h",
     "A stream's route is forgotten when nobody has used it for this long.", "", Roles::Proxy},

    {"state.backend", Kind::Choice, "memory", "memory|redis",
     "memory serves one proxy; redis lets several share one view.", "PROXY_LOAD_BALANCER_TYPE",
     Roles::Proxy},

    {"state.path", Kind::Text, "", "",
     "A folder where routes, registered origins and drained ones survive a restart, for "
     "state.backend = memory; empty keeps them in memory alone.",
     "", Roles::Proxy},

    {"redis.host", Kind::Text, "127.0.0.1", "", "Address or name.", "PROXY_REDIS_HOST"},
    {"redis.port", Kind::Integer, "6379", "1..65535", "Port.", "PROXY_REDIS_PORT"},
    {"redis.user", Kind::Text, "", "", "User of its access list; empty is the default user."},
    {"redis.password", Kind::Secret, "", "", "Password; empty for none.", "PROXY_REDIS_PASSWORD"},
    {"redis.db", Kind::Integer, "0", "0..1000000", "Database.", "PROXY_REDIS_DB"},
    {"redis.sentinels", Kind::Remotes, "", "",
     "Sentinels to ask for the server, in place of redis.host and redis.port."},
    {"redis.master_name", Kind::Text, "", "", "What the sentinels call it."},
    {"redis.tls", Kind::Boolean, "off", "",
     "TLS to it and to the sentinels. Their certificates are always verified."},
    {"redis.tls_ca", Kind::Text, "", "",
     "A PEM file of the authorities that their certificates must lead to; empty is the system's "
     "store."},
    {"redis.tls_cert", Kind::Text, "", "",
     "A PEM file with the certificate, and what leads to its authority, that this node shows."},
    {"redis.tls_key", Kind::Text, "", "", "The PEM file of its key, without a passphrase."},
    {"redis.tls_server_name", Kind::Text, "", "",
     "The name that their certificates are for, where it is not the host that is connected to."},
    {"redis.prefix", Kind::Text, "weir:", "", "What every key begins with."},
    {"redis.timeout", Kind::Duration, "50ms", "1ms..10s",
     "The longest that a request waits for it; then it is routed without."},

    {"tls.certificates", Kind::Text, "", "",
     "Pairs CHAIN.pem:KEY.pem, separated by commas, or folders that hold pairs NAME.crt (or .pem) "
     "and NAME.key, or folders with fullchain.pem and privkey.pem. A client gets the one for the "
     "name it asks for, else the first. SIGHUP reads them again."},
    {"tls.handshake_timeout", Kind::Duration, "10s", "100ms..5m",
     "For a client's whole TLS handshake."},
    {"tls.http2", Kind::Boolean, "on", "", "Offer HTTP/2 on listen.https and listen.api_https."},

    {"webrtc.candidates", Kind::Hosts, "", "",
     "Where clients send media: addresses or names, each with :port where another is forwarded to "
     "listen.webrtc, separated by commas. Empty: the addresses of this host.",
     "", Roles::Proxy},
    {"webrtc.tcp", Kind::Boolean, "on", "",
     "Take media over TCP too, on the same port, for clients whose network lets no UDP out.", "",
     Roles::Proxy},
    {"webrtc.max_sessions", Kind::Integer, "10000", "1..1000000", "Sessions at a time.", "",
     Roles::Proxy},

    {"edge.pull", Kind::Choice, "auto", "rtmp|flv|auto",
     "The protocol to pull with; auto takes what the upstream offers, RTMP first.", "",
     Roles::Edge},
    {"edge.linger", Kind::Duration, "10s", "0..24h",
     "How long a stream is still pulled when its last viewer has left.", "", Roles::Edge},
    {"edge.source_timeout", Kind::Duration, "3s", "100ms..5m",
     "An upstream silent for this long is given up for the next one.", "", Roles::Edge},
    {"edge.start_timeout", Kind::Duration, "10s", "100ms..5m",
     "How long viewers wait for a stream's first media before they are refused.", "", Roles::Edge},
    {"edge.gone_timeout", Kind::Duration, "30s", "0..24h",
     "A stream that had media ends when it found no source for this long.", "", Roles::Edge},
    {"edge.negative_ttl", Kind::Duration, "1s", "0..1m",
     "How long a stream that nobody had is not asked for again.", "", Roles::Edge},
    {"edge.retry_min", Kind::Duration, "100ms", "10ms..1m",
     "The first pause between attempts to pull; it doubles, with jitter.", "", Roles::Edge},
    {"edge.retry_max", Kind::Duration, "3s", "10ms..5m", "The longest pause.", "", Roles::Edge},
    {"edge.log_window", Kind::Duration, "10s", "1s..5m",
     "How far back a stream keeps media for viewers that are behind.", "", Roles::Edge},
    {"edge.log_max", Kind::Size, "32MiB", "1MiB..4GiB",
     "The most that a stream keeps in memory for each protocol it is served in.", "", Roles::Edge},
    {"edge.merge_window", Kind::Duration, "auto", "auto|0..5s",
     "How long packets are gathered into one write; auto is none while the loop is idle and up to "
     "edge.merge_max when it is busy.",
     "", Roles::Edge},
    {"edge.merge_max", Kind::Duration, "350ms", "0..5s", "The widest that auto may choose.", "",
     Roles::Edge},
    {"edge.max_hops", Kind::Integer, "8", "1..64",
     "Edges that one stream may pass through; more is taken for a loop.", "", Roles::Edge},

    {"viewer.stall_timeout", Kind::Duration, "10s", "1s..10m",
     "A viewer that takes no byte for this long is closed."},
    {"viewer.send_buffer", Kind::Size, "256KiB", "16KiB..16MiB",
     "The kernel's send buffer of a viewer: memory against smoothness."},

    {"publisher.first_timeout", Kind::Duration, "20s", "1s..10m",
     "From the permission to publish to the first media."},
    {"publisher.timeout", Kind::Duration, "7s", "1s..10m",
     "A publisher silent for this long is closed."},
    {"publisher.stale", Kind::Duration, "3s", "0..10m",
     "A publisher silent for this long may be displaced by a new one of the same stream."},

    {"cache.memory", Kind::Size, "256MiB", "1MiB..1TiB", "Memory for it.", "", Roles::Edge},
    {"cache.object_max", Kind::Size, "64MiB", "64KiB..4GiB",
     "What is larger is passed on and not kept.", "", Roles::Edge},
    {"cache.path", Kind::Text, "", "",
     "A folder of its own, on a local disk, for what memory has no room for; it is still there "
     "after a restart. Empty: memory only. A full or failing disk costs hits and nothing else.",
     "", Roles::Edge},
    {"cache.disk", Kind::Size, "10GiB", "16MiB..64TiB", "The most that cache.path may take.", "",
     Roles::Edge},
    {"cache.segment_ttl", Kind::Duration, "60s", "0..24h",
     "How long a segment is good whose origin does not say.", "", Roles::Edge},
    {"cache.playlist_ttl", Kind::Duration, "1s", "0..1h",
     "The same for playlists and manifests that do not tell how often they change; those that do "
     "are good for half of that time.",
     "", Roles::Edge},
    {"cache.error_ttl", Kind::Duration, "1s", "0..1h",
     "The same for what is not found, and its like.", "", Roles::Edge},
    {"cache.hold", Kind::Duration, "20s", "100ms..5m",
     "How long an origin may hold back a playlist or a part that does not exist yet.", "",
     Roles::Edge},
    {"cache.ignore_args", Kind::Text, "", "",
     "Names of arguments, with commas between them, that name a viewer and not the content: "
     "requests that differ only there share one response.",
     "", Roles::Edge},
    {"cache.purge_token", Kind::Secret, "", "",
     "Who sends it (Authorization: Bearer) may PURGE a path, or all that begin with one: /live/*.",
     "", Roles::Edge},

    {"rtmp.handshake_timeout", Kind::Duration, "10s", "100ms..5m", "For the whole handshake."},
    {"rtmp.request_timeout", Kind::Duration, "10s", "100ms..5m",
     "From the handshake to the request to publish or play."},
    {"rtmp.max_message", Kind::Size, "8MiB", "64KiB..16777215", "The largest message taken."},
    {"rtmp.max_chunk_size", Kind::Size, "1MiB", "128..16777215", "The largest chunk size taken."},
    {"rtmp.client_address", Kind::Boolean, "on", "",
     "Tells origins the client's address, as clientAddr in the connect object.", "", Roles::Proxy},
    {"rtmp.window_ack", Kind::Size, "2500000", "4KiB..1GiB",
     "The window that peers are told to acknowledge within."},

    {"http.head_timeout", Kind::Duration, "10s", "100ms..5m", "For a whole request head."},
    {"srt.idle_timeout", Kind::Duration, "8s", "1s..10m",
     "An end of an SRT session that is silent for this long is gone, and the other is told.", "",
     Roles::Proxy},
    {"srt.max_pending", Kind::Integer, "1000", "1..1000000",
     "SRT callers, on each core, whose origin has not answered yet.", "", Roles::Proxy},

    {"http.max_head", Kind::Size, "32KiB", "1KiB..1MiB", "The largest request or response head."},
    {"http.cors", Kind::Boolean, "on", "",
     "Lets web pages of any site play, where the origin does not say which may.", "", Roles::Edge},
    {"http.root", Kind::Text, "", "",
     "A folder with the files of a web page to serve beside the streams: GET and HEAD, index.html "
     "for a folder. A file that is there goes before a stream or an origin's path of its name, all "
     "other paths are as without it. Names that begin with a dot are not served, nor is what lies "
     "outside, wherever a symbolic link leads.",
     "PROXY_STATIC_FILES"},

    {"rtsp.request_timeout", Kind::Duration, "10s", "100ms..5m",
     "For a client's first request, for each of them to be whole, and for an origin's answer.", "",
     Roles::Proxy},
    {"rtsp.session_timeout", Kind::Duration, "60s", "1s..1h",
     "A session in which neither client nor origin sends anything for this long is closed.", "",
     Roles::Proxy},

    {"limits.connections", Kind::Integer, "16000", "1..10000000", "Connections in all."},
    {"limits.per_address", Kind::Integer, "1000", "1..10000000", "Connections from one address."},
    {"limits.viewers_per_stream", Kind::Integer, "0", "0..10000000",
     "Sessions that play one stream, but for those over HLS and DASH; 0 is no limit."},
    {"limits.publish_bitrate", Kind::Integer, "0", "0..100000000",
     "kbit/s that a publisher may send; 0 is no limit."},
    {"limits.publish_patience", Kind::Duration, "10s", "1s..1h",
     "A publisher that is faster for this long is closed."},

    {"access.remember", Kind::Duration, "30s", "0..1h",
     "How long a client that was let at a playlist or file needs to show nothing for others of "
     "that "
     "stream, as its address is known; 0 asks it to show its permission with each request."},
    {"access.end_at_expiry", Kind::Boolean, "off", "",
     "End a session when the signature or token that its client has shown expires. Off: it counts "
     "when a session begins."},
    {"access.traverse", Kind::Boolean, "off", "",
     "Ask upstream, as the viewer itself would, before a viewer is served from what is here.", "",
     Roles::Edge},
    {"access.traverse_ttl", Kind::Duration, "30s", "1s..24h",
     "How long a yes of upstream holds, for the same stream and the same arguments.", "",
     Roles::Edge},
    {"access.traverse_when_down", Kind::Choice, "refuse", "refuse|allow",
     "What becomes of viewers while no upstream answers.", "", Roles::Edge},

    {"access.publish.allow", Kind::CidrList, "", "",
     "Addresses and networks, or the words loopback and private. Empty: from everywhere."},
    {"access.publish.deny", Kind::CidrList, "", "", "From there nobody may, allowed or not."},
    {"access.publish.require", Kind::Choice, "nothing", "nothing|signature|jwt|any",
     "What a publisher must show; any is one of both."},

    {"access.play.allow", Kind::CidrList, "", "",
     "Addresses and networks, or the words loopback and private. Empty: from everywhere."},
    {"access.play.deny", Kind::CidrList, "", "", "From there nobody may, allowed or not."},
    {"access.play.require", Kind::Choice, "nothing", "nothing|signature|jwt|any",
     "What a viewer must show; any is one of both."},

    {"access.sign.secret", Kind::Secret, "", "",
     "What URLs are signed with, at least 16 bytes: sig is the hexadecimal HMAC-SHA256 of "
     "\"play /live/cam?expires=1767225600\", or publish."},
    {"access.sign.previous", Kind::Secret, "", "",
     "Signatures of this one are taken too, while secrets change."},

    {"access.jwt.keys", Kind::Text, "", "",
     "A file with a JSON Web Key Set, read again when it changes. Keys for HS256, RS256 and ES256 "
     "are "
     "used."},
    {"access.jwt.audience", Kind::Text, "", "", "What `aud` must have; empty: anything."},
    {"access.jwt.issuer", Kind::Text, "", "", "What `iss` must be; empty: anything."},
    {"access.jwt.leeway", Kind::Duration, "5s", "0..10m", "How much clocks may differ."},
    {"access.jwt.argument", Kind::Text, "token", "", "The argument of a URL that is a token."},

    {"access.hook.on_connect", Kind::Text, "", "", "Asked when a client of RTMP has come."},
    {"access.hook.on_close", Kind::Text, "", "", "Told when it has gone."},
    {"access.hook.on_publish", Kind::Text, "", "", "Asked before somebody publishes."},
    {"access.hook.on_unpublish", Kind::Text, "", "", "Told when that has ended."},
    {"access.hook.on_play", Kind::Text, "", "", "Asked before somebody plays."},
    {"access.hook.on_stop", Kind::Text, "", "", "Told when that has ended."},
    {"access.hook.tls_ca", Kind::Text, "", "",
     "For URLs of https: the PEM file of the authorities that may vouch for them; empty: those of "
     "this system. The certificate must be for the host in the URL."},
    {"access.hook.timeout", Kind::Duration, "2s", "10ms..1m", "For an answer."},
    {"access.hook.retries", Kind::Integer, "1", "0..10",
     "How often one that gives none is asked again."},
    {"access.hook.when_down", Kind::Choice, "refuse", "refuse|allow",
     "What becomes of clients about whom nobody answers."},
    {"access.hook.queue", Kind::Integer, "10000", "1..1000000",
     "Clients, on each core, whose end has still to be told."},

    {"proxy_protocol.from", Kind::CidrList, "", "",
     "Load balancers, as addresses and networks, that say by the PROXY protocol (version 1 or 2) "
     "whom each of their connections is for. All their connections to RTMP, HTTP and RTSP must "
     "begin so; from others nobody takes it."},
    {"proxy_protocol.timeout", Kind::Duration, "5s", "100ms..1m", "For that header to come."},

    {"forwarded.from", Kind::CidrList, "", "",
     "HTTP proxies, as addresses and networks, whose Forwarded (RFC 7239) and X-Forwarded-For are "
     "believed: the client is the first address from the right that is none of these. What others "
     "send there is dropped."},
    {"forwarded.field", Kind::Choice, "either", "either|forwarded|x-forwarded-for",
     "The field that they write. either takes Forwarded where both are; if they write only one "
     "and let the other through, name the one, for a client may send the other."},

    {"streams.max_negative", Kind::Integer, "10000", "0..10000000",
     "Names of streams remembered as found nowhere; see edge.negative_ttl.", "", Roles::Edge},

    {"log.level", Kind::Choice, "info", "debug|info|warn|error|off", "The least that is logged."},
    {"log.format", Kind::Choice, "text", "text|json", "text for people, json for collectors."},

    {"access_log.path", Kind::Text, "", "",
     "The file, opened again at SIGUSR1; - is standard output, empty is none. What may be secret "
     "is "
     "left out."},
    {"access_log.requests", Kind::Boolean, "on", "",
     "A line for each HTTP request, too, and not for sessions alone."},

    {"metrics.top_streams", Kind::Integer, "20", "0..1000",
     "How many streams, the busiest, have series of their own."},

    {"shutdown.grace", Kind::Duration, "20s", "0..24h", "How long live connections may go on.",
     "PROXY_GRACE_QUIT_TIMEOUT"},
    {"shutdown.force", Kind::Duration, "30s", "0..24h", "When the process ends, whatever is left.",
     "PROXY_FORCE_QUIT_TIMEOUT"},

    {"upgrade.grace", Kind::Duration, "10m", "0..24h",
     "How long the connections of the process that makes way may go on."},
    {"upgrade.timeout", Kind::Duration, "30s", "1s..10m",
     "A new process that is not ready after so long is ended, and the old one goes on."},
};

// `upstream.a.host` and `upstream.*.host` agree; a NAME has no dot and is not empty.
bool matches(std::string_view pattern, std::string_view key) {
  const auto star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == key;
  const auto tail = pattern.substr(star + 1);
  if (key.size() < star + tail.size() + 1) return false;
  if (!key.starts_with(pattern.substr(0, star)) || !key.ends_with(tail)) return false;
  const auto name = key.substr(star, key.size() - star - tail.size());
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

// Edits between two words, neighbours swapped counting as one. (Optimal string alignment.)
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(now);
  }
  return last[b.size()];
}

}  // namespace

std::string_view Option::section() const {
  const auto dot = key.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : key.substr(0, dot);
}

std::string_view Option::name() const { return key.substr(key.rfind('.') + 1); }

std::span<const Option> options() { return kOptions; }

std::span<const Section> sections() { return kSections; }

const Option* find_option(std::string_view key) {
  const auto found = std::ranges::find_if(
      kOptions, [key](const Option& option) { return matches(option.key, key); });
  return found == std::end(kOptions) ? nullptr : &*found;
}

std::string nearest_key(std::string_view key) {
  if (key.size() > kMaxKeyToCorrect) return {};
  std::string nearest;
  std::size_t least = 1 + std::max<std::size_t>(2, key.size() / 4);
  for (const Option& option : kOptions) {
    std::string candidate(option.key);
    if (option.is_pattern()) {
      if (!key.starts_with("upstream.")) continue;
      const auto dot = key.find('.', 9);
      if (dot == std::string_view::npos || dot == 9) continue;
      candidate.replace(candidate.find('*'), 1, key.substr(9, dot - 9));
    }
    // The right name in the wrong section, or in none, is as near as a single slip.
    const bool same_name = key.substr(key.rfind('.') + 1) == option.name();
    const std::size_t edits = std::min(distance(key, candidate), same_name ? std::size_t{2} : 99);
    if (edits >= least) continue;
    least = edits;
    nearest = std::move(candidate);
  }
  return nearest;
}

std::string environment_name(std::string_view key) {
  std::string name = "WEIR_";
  for (const char c : key) {
    const bool lower = c >= 'a' && c <= 'z';
    name += lower ? static_cast<char>(c - 'a' + 'A') : c == '.' || c == '-' ? '_' : c;
  }
  return name;
}

}  // namespace weir
