"""An offer to publish by WebRTC, of a client that never comes."""

SDP = {"Content-Type": "application/sdp"}
OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 4611 2 IN IP4 198.51.100.7",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=audio 50123 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 198.51.100.7",
        "a=candidate:1 1 udp 2113937151 198.51.100.7 50123 typ host",
        "a=ice-ufrag:cLnT",
        "a=ice-pwd:aClientsPasswordOf22++",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:actpass",
        "a=mid:0",
        "a=sendonly",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "",
    ]
)
