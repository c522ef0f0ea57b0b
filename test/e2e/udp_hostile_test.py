"""What a stranger may send to the UDP ports: one packet, or millions. Nothing may end, grow, or cost a stream that
plays through the same port a single packet.

WEIR_FLOOD_PACKETS is how many a flood sends to each port, half a million unless told.
"""

import os
import secrets
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import bare_webrtc, flood, scene, srt
from support.node import Weir
from support.scene import SANITIZED, SLOWNESS, free_port, wait_until
from support.stun import FINGERPRINT, INTEGRITY, USERNAME, attribute, message

PACKETS = int(os.environ.get("WEIR_FLOOD_PACKETS", 50_000 if SANITIZED else 500_000))
SCRIPT_SECONDS = 235 + PACKETS // 20_000
GROWTH = 1.02
NOISE_OF_RSS = 1 << 20
GAP_SECONDS = 0.5  # of the probe stream: what a machine with other work puts a process aside for

INDUCTION, CONCLUSION = 1, 0xFFFFFFFF
CONTROL, DATA, SRT_ID = 0x80000000, 0x00000000, 4711
WAITS = 0.05  # for answers that do not come


def handshake(kind, version, extension, cookie=0, extensions=b"", to=0):
    head = struct.pack(">IIII", CONTROL, 0, 0, to)
    fields = (version, 0, extension, 77, 1500, 8192, kind, SRT_ID, cookie)
    return head + struct.pack(">IHHIIIIII", *fields) + bytes(16) + extensions


def stream_id(text, words=None):
    """The extension as SRT has it: each four bytes reversed."""
    padded = text.encode() + bytes(-len(text) % 4)
    turned = b"".join(padded[i : i + 4][::-1] for i in range(0, len(padded), 4))
    return struct.pack(">HH", 5, len(turned) // 4 if words is None else words) + turned


def bad_stun():
    """Messages that lie about themselves, by what is wrong with each."""
    name = attribute(USERNAME, b"remote:local")
    return {
        "a length of 1 in 21 bytes": message(b"\0", size=1),
        "no attributes": message(),
        "a length beyond the end": message(name, size=4096),
        "a length short of the end": message(name, size=4),
        "an attribute beyond the end": message(attribute(USERNAME, b"abcd", size=60000)),
        "padding beyond the end": message(struct.pack(">HH", USERNAME, 3) + b"abc"),
        "half an attribute's header": message(name + b"\0\6"),
        "a name of 600 bytes": message(attribute(USERNAME, bytes(600))),
        "300 attributes": message(attribute(0x8000, b"") * 300),
        "two integrities": message(attribute(INTEGRITY, bytes(20)) * 2),
        "a short integrity": message(name + attribute(INTEGRITY, bytes(4))),
        "an attribute behind the fingerprint": message(attribute(FINGERPRINT, bytes(4)) + name),
        "an unknown method": message(name, kind=0x3EEF),
        "nothing but a header's half": message()[:9],
        "one byte": b"\0",
        "a DTLS record of nobody": b"\x16\xfe\xfd" + bytes(60),
        "RTP of nobody": b"\x80\x60" + bytes(1400),
    }


class Hostile(scene.SceneTest):
    def setUp(self):
        self.port = free_port()

    def flood(self, proxy, templates, first=None):
        """The whole flood; memory must be the same at its end as after its first tenth."""
        process = flood.start(self.scene, self.port, PACKETS // 10, templates, first)
        process.wait(60 + PACKETS // 20_000)
        begun = proxy.process.rss_bytes()
        process = flood.start(self.scene, self.port, PACKETS, templates, first, seed=2)
        process.wait(60 + PACKETS // 20_000)
        done, resident = flood.result(process), proxy.process.rss_bytes()
        print(f"# {self.id()}: {done}, memory {begun >> 10} KiB then {resident >> 10} KiB", file=sys.stderr)
        self.assertLess(done["lost"], PACKETS // 100, "the proxy has seen them")
        self.assertLess(resident, begun * GROWTH + NOISE_OF_RSS)

    def send_all(self, packets):
        """From an address of its own; what comes back."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.connect(("127.0.0.1", self.port))
            stranger.settimeout(WAITS)
            answers = []
            for packet in packets:
                stranger.send(packet)
            try:
                while True:
                    answers.append(stranger.recv(2000))
            except TimeoutError:
                return answers


class HostileToWebRtc(Hostile):
    def setUp(self):
        super().setUp()
        self.origin = bare_webrtc.Origin(self.scene)
        self.proxy = Weir(
            self.scene,
            "proxy",
            upstreams={"o": {"http": self.origin.http}},
            options={"listen.webrtc": f"127.0.0.1:{self.port}", "webrtc.candidates": "127.0.0.1"},
        )
        self.probe = bare_webrtc.Probe(self.client("probe"))
        wait_until(lambda: len(self.probe.came) > 10, "the probe's packets come back")

    def client(self, name):
        return bare_webrtc.Client(self.scene, self.proxy.http, f"/live/{name}/whip")

    def unharmed(self):
        lost = self.probe.stop()
        self.assertEqual([], lost, "the probe's packets that did not come back")
        self.assertLess(self.probe.gap, GAP_SECONDS * SLOWNESS)
        self.assertTrue(self.proxy.process.running())
        # And new sessions begin.
        fresh = bare_webrtc.Probe(self.client("fresh"))
        wait_until(lambda: len(fresh.came) > 10, "another session's packets come back")
        self.assertEqual([], fresh.stop())

    def dropped(self, reason=""):
        return self.proxy.metric("weir_webrtc_dropped_total", reason)

    def test_messages_that_lie_are_dropped_and_never_answered(self):
        for name, packet in bad_stun().items():
            with self.subTest(name):
                before = self.dropped()
                self.assertEqual([], self.send_all([packet]))
                wait_until(lambda: self.dropped() == before + 1, "it is counted")
        # The same from an address that has shown its password.
        known = self.client("known")
        known.socket.send(known.check())
        for packet in [*bad_stun().values(), b""]:
            known.socket.send(packet)
        # Checks of the session that are not its client's.
        before = self.dropped("unsigned")
        for forged in (
            bare_webrtc.check(known.username, "not the password of it"),
            message(attribute(USERNAME, known.username.encode())),
            known.check()[:-1] + b"\0",
        ):
            self.assertEqual([], self.send_all([forged]))
        wait_until(lambda: self.dropped("unsigned") >= before + 2, "they are told apart")
        self.unharmed()

    def test_a_hundred_thousand_checks_on_one_session_leave_nothing_behind(self):
        client = self.client("checked")
        sockets = [client.socket] + [client.another_socket(self.scene) for _ in range(40)]
        checks = [client.check(attribute(0x0025, b"")) for _ in range(64)]
        resident = descriptors = None
        for i in range(100_000):
            sockets[i % len(sockets)].send(checks[i % len(checks)])
            if i % 64 == 0:
                while flood.queue_of(self.port)[0] > flood.QUEUED:
                    time.sleep(0.0002)
            if i == 10_000:
                resident, descriptors = self.proxy.process.rss_bytes(), self.proxy.process.descriptors()
        self.assertLess(self.proxy.process.rss_bytes(), resident * GROWTH + NOISE_OF_RSS)
        # An address of it that checks makes way for the next one: sixteen at a time.
        self.assertLessEqual(self.proxy.process.descriptors(), descriptors + 4)
        self.unharmed()

    def test_a_flood_of_mutated_packets_costs_nothing_but_time(self):
        victim = self.client("unread")
        templates = [
            victim.check(fingerprint=False),
            victim.check(attribute(0x0025, b"") + attribute(0x0024, bytes(4)) + attribute(0x802A, bytes(8))),
            bare_webrtc.check("some:body", "a password of 22 bytes"),
            message(kind=0x0101, body=attribute(0x0020, bytes(8))),
            b"\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x40\x01" + bytes(64),
            b"\x15\xfe\xfd\0\1\0\0\0\0\0\1\0\x1a" + bytes(26),
            b"\x80\x60" + bytes(170),
            b"\x80\xe0" + bytes(1100),
            b"\x81\xc9\0\7" + bytes(28),
            *bad_stun().values(),
        ]
        self.flood(self.proxy, templates, victim.check())
        self.assertGreater(self.dropped("malformed"), PACKETS // 20)
        self.assertGreater(self.dropped("unbound"), PACKETS // 100)
        self.assertGreater(self.dropped("unsigned"), PACKETS // 2000)
        self.unharmed()


class HostileToSrt(Hostile):
    def setUp(self):
        super().setUp()
        self.origin = srt.Origin(self.scene)
        self.proxy = self.proxy_for(self.origin.port)
        self.publisher = self.caller("#!::r=live/probe,m=publish")
        self.player = self.caller("#!::r=live/probe")
        self.sent, self.came, self.gap, self._stop = [], [], 0.0, threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()
        wait_until(lambda: len(self.came) > 10, "the probe plays")

    def proxy_for(self, *ports):
        upstreams = {f"o{i}": {"srt": port} for i, port in enumerate(ports)}
        return Weir(
            self.scene, "proxy", upstreams=upstreams, options={"listen.srt": f"127.0.0.1:{self.port}"}
        )

    def caller(self, streamid, **options):
        return srt.call(self.scene, self.port, streamid, **options)

    def _send(self):
        while not self._stop.wait(0.01):
            packet = struct.pack(">I", len(self.sent)) + secrets.token_bytes(500)
            self.publisher.send(packet)
            self.sent.append(packet)

    def _receive(self):
        last = None
        while not self._stop.is_set() or len(self.came) < len(self.sent):
            packet = self.player.receive()
            if not packet:
                return
            self.came.append(packet)
            now = time.monotonic()
            self.gap = max(self.gap, now - (last or now))
            last = now

    def unharmed(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
        self.assertEqual(len(self.sent), len(self.came), "packets of the probe")
        self.assertTrue(self.sent == self.came, "the bytes differ")
        self.assertLess(self.gap, GAP_SECONDS * SLOWNESS)
        self.assertTrue(self.proxy.process.running())
        self.caller("#!::r=live/fresh,m=publish")

    def ignored(self, reason=""):
        return self.proxy.metric("weir_srt_ignored_total", reason)

    def cookie(self, stranger):
        asked = handshake(INDUCTION, 4, 2)
        stranger.send(asked)
        answer = stranger.recv(2000)
        self.assertLessEqual(len(answer), len(asked), "never more than was sent")
        return struct.unpack_from(">I", answer, 44)[0]

    def test_handshakes_out_of_order_or_cut_short_begin_nothing(self):
        wanted = stream_id("#!::r=live/evil,m=publish")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.connect(("127.0.0.1", self.port))
            stranger.settimeout(2)
            cookie = self.cookie(stranger)
            stranger.settimeout(WAITS)

            def answer(packet):
                stranger.send(packet)
                try:
                    return stranger.recv(2000)
                except TimeoutError:
                    return b""

            before = self.ignored('reason="cookie"')
            strange = [0xDEADBEEF, cookie ^ 1, 0, 0xFFFFFFFF]
            for wrong in strange:
                with self.subTest(cookie=wrong):
                    self.assertEqual(b"", answer(handshake(CONCLUSION, 5, 4, wrong, wanted)))
            self.assertEqual(before + len(strange), self.ignored('reason="cookie"'))
            silent = {
                "half a handshake": handshake(CONCLUSION, 5, 4, cookie)[:40],
                "a rendezvous": handshake(0, 5, 0, cookie),
                "a rejection": handshake(1009, 5, 0, cookie),
                "one byte": b"\x80",
                "zeros": bytes(1400),
                "data of nobody": struct.pack(">IIII", DATA, 0, 0, 0x1234) + bytes(1316),
                "a shutdown of nobody": struct.pack(">IIII", CONTROL | 5 << 16, 0, 0, 0x1234),
            }
            for name, packet in silent.items():
                with self.subTest(name):
                    self.assertEqual(b"", answer(packet))
            rejected = {
                "a streamid whose words are not there": stream_id("#!::r=live/evil", words=9)[:8],
                "a streamid of one word, cut": stream_id("#!::r=live/evil")[:6],
                "an extension of 65535 words": b"\0\5\xff\xff" + bytes(64),
                "a streamid of 600 bytes": stream_id("x" * 600),
                "an empty streamid": stream_id(""),
                "no streamid": b"",
                "a path that climbs": stream_id("#!::r=live/../evil"),
                "control bytes": stream_id("#!::r=live/\r\n\0evil"),
                "half an escape": stream_id("#!::r=live/%2"),
            }
            for name, extensions in rejected.items():
                with self.subTest(name):
                    packet = handshake(CONCLUSION, 5, 4, cookie, extensions)
                    said = answer(packet)
                    self.assertLessEqual(len(said), len(packet))
                    if said:
                        (kind,) = struct.unpack_from(">I", said, 36)
                        self.assertGreaterEqual(kind, 1000, "a rejection")
        self.assertEqual(2, self.proxy.metric("weir_connections"))
        self.assertNotIn("evil", self.origin.log())
        self.unharmed()

    def test_an_origin_that_greets_and_then_says_nothing_delays_nobody_else(self):
        # It answers each INDUCTION as libsrt does, and no CONCLUSION.
        mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        mute.bind(("127.0.0.1", 0))
        heard = []

        def greet():
            while True:
                try:
                    packet, sender = mute.recvfrom(2000)
                except OSError:
                    return
                (kind,) = struct.unpack_from(">I", packet, 36)
                heard.append(kind)
                if kind != INDUCTION:
                    continue
                (caller,) = struct.unpack_from(">I", packet, 40)
                answer = bytearray(handshake(INDUCTION, 5, 0x4A17, cookie=0x600D, to=caller))
                mute.sendto(answer, sender)

        threading.Thread(target=greet, daemon=True).start()
        self.scene.at_end(mute.close)
        port, self.port = self.port, free_port()  # the probe's proxy keeps its own origin
        both = Weir(
            self.scene,
            "proxy",
            "both",
            upstreams={"good": {"srt": self.origin.port}, "mute": {"srt": mute.getsockname()[1]}},
            options={"listen.srt": f"127.0.0.1:{self.port}", "origin.eject": "60s"},
        )
        ended = []

        def call(number):
            try:
                self.caller(f"#!::r=live/late{number},m=publish", timeout=4000)
                ended.append(None)
            except srt.Refused as refused:
                ended.append(refused)

        callers = [threading.Thread(target=call, args=(i,), daemon=True) for i in range(40)]
        for each in callers:
            each.start()
        wait_until(lambda: CONCLUSION in heard, "somebody waits for it")
        longest, waiting = 0.0, 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.connect(("127.0.0.1", self.port))
            stranger.settimeout(5)
            while any(each.is_alive() for each in callers) and waiting < 500:
                began = time.monotonic()
                self.cookie(stranger)
                longest = max(longest, time.monotonic() - began)
                waiting += 1
                time.sleep(0.005)
        self.assertGreater(waiting, 50, "callers did wait meanwhile")
        self.assertLess(longest, GAP_SECONDS * SLOWNESS)
        for each in callers:
            each.join(10)
        self.assertEqual(40, len(ended))
        self.assertTrue(both.process.running())
        self.port = port
        self.unharmed()

    def test_a_flood_of_mutated_packets_costs_nothing_but_time(self):
        bad = stream_id("#!::r=live/../evil")
        keep_alive = struct.pack(">IIII", CONTROL | 1 << 16, 0, 0, 0x1234)
        templates = [
            handshake(INDUCTION, 4, 2),
            handshake(CONCLUSION, 5, 5, 0xDEADBEEF, bad),
            handshake(CONCLUSION, 5, 4, 1, stream_id("evil")[:6]),
            handshake(CONCLUSION, 5, 7, 1, b"\0\1\0\3" + bytes(12) + b"\0\3\0\x0a" + bytes(40) + bad),
            handshake(0, 5, 0),
            keep_alive,
            struct.pack(">IIIII", CONTROL | 3 << 16, 0, 0, 0x1234, 0x80000000),
            struct.pack(">IIII", CONTROL | 5 << 16, 0, 0, 0x1234),
            struct.pack(">IIII", DATA | 77, 0xC0000001, 0, 0x1234) + bytes(1316),
            b"\x80",
        ]
        self.flood(self.proxy, templates)
        self.assertGreater(self.ignored('reason="cookie"'), PACKETS // 200)
        self.assertGreater(self.ignored('reason="malformed"'), PACKETS // 20)
        self.assertGreater(self.ignored('reason="stray"'), PACKETS // 20)
        self.unharmed()


if __name__ == "__main__":
    scene.SCRIPT_SECONDS = SCRIPT_SECONDS
    scene.main()
