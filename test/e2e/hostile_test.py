"""What strangers send harms nobody: a probe plays on through all of it without a gap."""

import json
import os
import random
import resource
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import amf0, media, rtmp, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir, request
from support.origin import Origin
from support.scene import SANITIZED, SLOWNESS, wait_until

MIB = 1 << 20
DEADLINE = 2.0
OPTIONS = {
    "rtmp.handshake_timeout": f"{DEADLINE:g}s",
    "rtmp.request_timeout": f"{DEADLINE:g}s",
    "http.head_timeout": f"{DEADLINE:g}s",
    "log.level": "info",
}


def send(port, data, host="127.0.0.1"):
    """A new connection with `data` sent, as far as the other side takes it."""
    sock = socket.create_connection((host, port), 5)
    sock.settimeout(5)
    try:
        sock.sendall(data)
    except OSError:
        pass
    return sock


def ended(sock):
    """Whether the other side has closed it; reads what there is."""
    sock.setblocking(False)
    try:
        while True:
            if not sock.recv(65536):
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def shaken(port, data=b""):
    """A connection after the plain handshake, with `data` sent behind it."""
    sock = send(port, rtmp.handshake_opening())
    got = b""
    while len(got) < 3073:
        piece = sock.recv(3073 - len(got))
        assert piece, "closed during the handshake"
        got += piece
    try:
        sock.sendall(got[1:1537] + data)
    except OSError:
        pass
    return sock


def message(kind, payload, size=128):
    return rtmp.chunk(3, rtmp.Message(kind, 0, 0, payload), size)


def nested(depth):
    return amf0.encode("connect", 1) + b"\x03\x00\x01a" * depth


class Hostile(scene.SceneTest):
    def begin(self, limits=(), options=None):
        """A proxy in front of nginx, an edge that serves what is published to it, and a probe at each."""
        self.origin = Origin(self.scene)
        self.proxy = Weir(
            self.scene,
            "proxy",
            upstreams={"origin": {"rtmp": self.origin.rtmp}},
            limits=limits,
            options={**OPTIONS, **(options or {})},
        )
        self.edge = Weir(self.scene, "edge", limits=limits, options={**OPTIONS, **(options or {})})
        clip = media.encode_clip(self.scene)
        self.crowd = Crowd(self.scene)
        for node in (self.proxy, self.edge):
            media.publish(self.scene, clip, node.rtmp_url("probe"))
        self.probes = [
            self.crowd.add(RtmpViewer("127.0.0.1", self.proxy.rtmp, "live", "probe")),
            self.crowd.add(RtmpViewer("127.0.0.1", self.edge.rtmp, "live", "probe")),
            self.crowd.add(FlvViewer("127.0.0.1", self.edge.http, "/live/probe.flv")),
        ]
        wait_until(
            lambda: all(v.playing(25) for v in self.probes),
            lambda: [v.describe() for v in self.probes],
            15 * SLOWNESS,
        )
        self.began = time.monotonic()
        self.before = [(n.process.rss_bytes(), n.process.descriptors()) for n in (self.proxy, self.edge)]

    def unharmed(self, growth=32 * MIB):
        for node, (memory, descriptors) in zip((self.proxy, self.edge), self.before):
            self.assertTrue(node.process.running(), node.name)
            wait_until(
                lambda: node.process.descriptors() <= descriptors + 2,
                lambda: f"{node.name} has {node.process.descriptors()} descriptors, had {descriptors}",
                10,
            )
            if not SANITIZED:
                self.assertLess(node.process.rss_bytes() - memory, growth, node.name)
        frames = [len(v.frames) for v in self.probes]
        wait_until(
            lambda: all(len(v.frames) > n + 10 for v, n in zip(self.probes, frames)), "the probes play on", 5
        )
        for viewer in self.probes:
            self.assertIsNone(viewer.closed, viewer.describe())
            self.assertLess(viewer.gap(self.began), 0.5 * SLOWNESS, viewer.describe())
            self.assertEqual([], viewer.ran_back)

    def all_end(self, sockets, within, what):
        left = list(sockets)

        def none_left():
            left[:] = [sock for sock in left if not ended(sock)]
            return not left

        try:
            wait_until(none_left, lambda: f"{what}: {len(left)} of {len(sockets)} still open", within, 0.05)
        finally:
            for sock in sockets:
                sock.close()

    def test_openings_that_lie_about_sizes(self):
        self.begin()
        huge = message(rtmp.SET_CHUNK_SIZE, struct.pack(">I", 0x7FFFFFFF))
        objects = nested(4)[:-4] + b"\x00\x01a\x03" * (3 * MIB)
        openings = {
            "12 MB of nested objects in one chunk, before connect": huge
            + rtmp.chunk(3, rtmp.Message(rtmp.COMMAND, 0, 0, objects), len(objects)),
            "a connect of 10,000 objects in each other": message(rtmp.COMMAND, nested(10000)),
            "a chunk size of 1": message(rtmp.SET_CHUNK_SIZE, struct.pack(">I", 1))
            + message(rtmp.COMMAND, nested(100), 1),
            "a chunk size of 0": message(rtmp.SET_CHUNK_SIZE, struct.pack(">I", 0)),
            "a chunk that begins with type 3": b"\xc3" + bytes(2000),
            "a message of 16 MB that never comes": b"\x06"
            + bytes(3)
            + b"\xff\xff\xff\x09"
            + bytes(4)
            + bytes(128),
            "60,000 chunk streams": b"".join(
                b"\x01" + struct.pack("<H", i) + bytes(3) + b"\x00\xff\xff\x09" + bytes(4) + bytes(128)
                for i in range(60000)
            ),
            "a string longer than its message": message(rtmp.COMMAND, b"\x02\xff\xffconnect"),
            "control messages cut short": message(rtmp.SET_CHUNK_SIZE, b"\x00"),
        }
        for node in (self.proxy, self.edge):
            sockets = []
            for opening in openings.values():
                sockets.append(shaken(node.rtmp, opening))
            for what, sock in zip(openings, sockets):
                with self.subTest(f"{node.name}: {what}"):
                    self.all_end([sock], DEADLINE + 3 * SLOWNESS, what)
        self.unharmed()

    def test_200_half_sent_openings_are_closed_within_their_deadline(self):
        self.begin()
        hello = rtmp.handshake_opening()
        get = b"GET /live/probe.flv HTTP/1.1\r\nHost: x\r\nX-A: "
        sockets = []
        began = time.monotonic()
        for node in (self.proxy, self.edge):
            for i in range(200):
                sockets.append(send(node.rtmp, (b"", hello[:1], hello[:700], hello)[i % 4]))
                sockets.append(send(node.http, (b"", b"G", get, get + b"b" * 1000)[i % 4]))
            sockets += [shaken(node.rtmp) for _ in range(20)]
        self.all_end(sockets, 2 * DEADLINE + 3 * SLOWNESS + (time.monotonic() - began), "half-sent openings")
        self.unharmed()

    def test_half_sent_requests_to_the_system_api_do_not_close_it(self):
        self.begin()
        head = b"POST /api/v1/srs/register HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        sockets = [send(self.proxy.system, (b"", head, head + b"\r\n{")[i % 3]) for i in range(200)]
        status, _, _ = request(self.proxy.system, "GET", "/healthz", timeout=15)
        self.assertEqual(200, status)
        self.all_end(sockets, 15 * SLOWNESS, "half-sent requests")
        self.unharmed()

    def test_running_out_of_descriptors_passes(self):
        limit = 256
        self.begin(
            limits=[(resource.RLIMIT_NOFILE, (limit, limit))],
            options={"rtmp.handshake_timeout": "1m", "http.head_timeout": "1m"},
        )
        for node, port in (
            (self.proxy, self.proxy.rtmp),
            (self.edge, self.edge.rtmp),
            (self.edge, self.edge.http),
        ):
            with self.subTest(f"{node.name} {port}"):
                sockets = [send(port, b"") for _ in range(400)]
                wait_until(
                    lambda: node.process.descriptors() >= limit - 8,
                    lambda: f"{node.process.descriptors()} descriptors are used",
                    5 * SLOWNESS,
                )
                for sock in sockets:
                    sock.close()
                freed = time.monotonic()
                stream = RtmpViewer("127.0.0.1", node.rtmp, "live", "probe")
                self.crowd.add(stream)
                wait_until(lambda: stream.playing(1), stream.describe, 4 * SLOWNESS)
                self.assertLess(stream.frames[0][0] - freed, 3 * SLOWNESS)
                self.crowd.drop(stream)
                wait_until(lambda: node.process.descriptors() < 100, "the descriptors are free again", 5)
        self.unharmed()

    def test_random_bytes(self):
        self.begin()
        chance = random.Random(2)
        sockets = []
        for i in range(150):
            noise = chance.randbytes(chance.choice((1, 10, 100, 1000, 20000)))
            for node in (self.proxy, self.edge):
                sockets.append(send(node.rtmp, noise))
                sockets.append(shaken(node.rtmp, noise))
                sockets.append(send(node.http, noise))
                if i < 20:
                    sockets.append(send(node.system, noise))
                if i % 3 == 0:  # and words that begin right
                    sockets.append(send(node.http, b"GET /live/probe.flv HTTP/1.1\r\nHost: x\r\n" + noise))
                    sockets.append(
                        shaken(node.rtmp, message(rtmp.COMMAND, amf0.encode("connect", 1) + noise))
                    )
        self.all_end(sockets, 12 * SLOWNESS, "connections with random bytes")
        self.unharmed()

    def test_http_heads_that_servers_read_differently(self):
        self.begin()
        start = b"GET /live/nothing.flv HTTP/1.1\r\nHost: x\r\n"
        heads = {
            "two lengths": start + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "length and chunked": start + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "an unknown transfer coding": start + b"Transfer-Encoding: x\r\n\r\n",
            "a folded line": start + b"X-A: b\r\n c\r\n\r\n",
            "space before the colon": start + b"X-A : b\r\n\r\n",
            "NUL in a header": start + b"X-A: b\0c\r\n\r\n",
            "two hosts": start + b"Host: y\r\n\r\n",
            "1,000 headers": start + b"A: b\r\n" * 1000 + b"\r\n",
            "a header of 100 KB": start + b"X-A: " + b"b" * 100000 + b"\r\n\r\n",
            "a target of 100 KB": b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            "a path upwards": b"GET /live/../../etc/passwd.flv HTTP/1.1\r\nHost: x\r\n\r\n",
        }
        for node in (self.proxy, self.edge):
            for what, head in heads.items():
                with self.subTest(f"{node.name}: {what}"):
                    sock = send(node.http, head)
                    answer = b""
                    try:
                        while piece := sock.recv(65536):
                            answer += piece
                    except (ConnectionResetError, TimeoutError):
                        pass
                    sock.close()
                    # A reset may overtake the answer to what was not read to its end.
                    self.assertRegex(answer or b"HTTP/1.1 400", rb"^HTTP/1\.[01] (4\d\d|501) ?")
                    self.assertLessEqual(answer.count(b"HTTP/1."), 1, "one request, several answers")
        self.unharmed()

    def test_only_who_may_registers_and_wrong_bodies_are_named(self):
        self.begin(options={"system.allow": "10.0.0.0/8, 192.0.2.1"})
        status, answer = self.proxy.register(self.origin)
        self.assertEqual(403, status)
        self.assertIn("system.allow", answer["error"])
        open_ = Weir(self.scene, "proxy", "open", ready=False)
        good = self.origin.registration()
        wrong = {
            "body": [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 60000, b'{"a":' * 10000],
            "ip": [{**good, "ip": value} for value in ("", 5, None, "a b", "x" * 300, "1.2.3.4\r\nX: y")],
            "server": [{**good, "server": value} for value in ("", None, {}, "x" * 5000)],
            "rtmp": [
                {**good, "rtmp": value}
                for value in (["0"], ["65536"], ["-1"], [1.5], ["tcp://"], ["1"] * 17, {})
            ],
        }
        for field, bodies in wrong.items():
            for body in bodies:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                with self.subTest(field=field, body=data[:60]):
                    status, _, text = request(open_.system, "POST", "/api/v1/srs/register", data)
                    self.assertEqual(400, status)
                    self.assertIn(field, json.loads(text)["error"])
        self.assertEqual(413, request(open_.system, "POST", "/api/v1/srs/register", b" " * 100000)[0])
        self.assertEqual(405, request(open_.system, "GET", "/api/v1/srs/register")[0])
        self.assertEqual([], json.loads(request(open_.system, "GET", "/api/v1/upstreams")[2])["upstreams"])
        self.assertEqual(200, open_.register(self.origin, rtmp=f":{self.origin.rtmp}")[0])
        self.unharmed()


if __name__ == "__main__":
    scene.main()
