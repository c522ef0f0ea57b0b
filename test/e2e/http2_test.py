"""HTTP/2 at listen.https: real clients get what HTTP/1.1's get, from one cache, and abuse ends the connection alone."""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.certificates import Certificates
from support.ll_hls import LlHlsOrigin
from support.node import Weir, request
from support.origin import Origin
from support.scene import SLOWNESS, free_port, wait_until
from support.scripted_origin import ScriptedOrigin
from support.webrtc_offer import OFFER

HEADERS, RESET, SETTINGS, GOAWAY = 1, 3, 4, 7
END_STREAM, END_HEADERS = 1, 4
ENHANCE_YOUR_CALM = 11


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def get(stream, path):
    """RFC 7541: two of the static table, two literals."""
    literal = lambda name, value: b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
    block = b"\x82\x87" + literal(b":path", path) + literal(b":authority", b"a")
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, block)


class Http2(scene.SceneTest):
    def setUp(self):
        self.certificates = Certificates(self.scene)

    def node(self, role="edge", upstream=None, **options):
        https = free_port()
        node = Weir(
            self.scene,
            role,
            upstreams={"o": upstream.as_upstream()} if upstream else None,
            options={
                "listen.https": f"127.0.0.1:{https}",
                "tls.certificates": ":".join(self.certificates.server),
                **{key.replace("__", "."): value for key, value in options.items()},
            },
        )
        node.https, node.base = https, f"https://127.0.0.1:{https}"
        return node

    def curl(self, *words, version="--http2"):
        command = ["curl", "-sS", "--max-time", "30", "--cacert", self.certificates.ca, version, *words]
        return subprocess.run(command, capture_output=True, timeout=40)

    def version(self, url, *words, **more):
        """(of HTTP, status, body)"""
        done = self.curl("-w", "%{stderr}%{http_version} %{http_code}", *words, url, **more)
        version, status = done.stderr.decode().split()[-2:]
        return version, int(status), done.stdout

    def raw(self, node):
        context = self.certificates.context()
        context.set_alpn_protocols(["h2"])
        client = context.wrap_socket(socket.create_connection(("127.0.0.1", node.https), 5), server_hostname="127.0.0.1")
        self.scene.at_end(client.close)
        self.assertEqual("h2", client.selected_alpn_protocol())
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS))
        return client

    def test_segments_and_playlists_come_from_the_cache_of_all(self):
        origin = Origin(self.scene)
        files = os.path.join(origin.directory, "files")
        segment = os.urandom(3_000_000)
        with open(os.path.join(files, "a-1.ts"), "wb") as file:
            file.write(segment)
        with open(os.path.join(files, "a.m3u8"), "w") as file:
            file.write("#EXTM3U\n#EXT-X-TARGETDURATION:20\n#EXTINF:20,\na-1.ts\n")
        edge = self.node(upstream=origin)
        url = f"{edge.base}/files/a-1.ts"
        self.assertEqual(("2", 200, segment), self.version(url))
        self.assertEqual(("1.1", 200, segment), self.version(url, version="--http1.1"))
        self.assertEqual((200, segment), request(edge.http, "GET", "/files/a-1.ts")[::2])
        self.assertEqual(("2", 206, segment[100:70_000]), self.version(url, "-r", "100-69999"))
        version, status, playlist = self.version(f"{edge.base}/files/a.m3u8")
        self.assertEqual(("2", 200), (version, status))
        self.assertEqual(playlist, request(edge.http, "GET", "/files/a.m3u8")[2])
        self.assertEqual(("2", 404), self.version(f"{edge.base}/files/none.ts")[:2])
        etag = request(edge.http, "GET", "/files/a-1.ts")[1]["ETag"]
        self.assertEqual(("2", 304, b""), self.version(url, "-H", f"If-None-Match: {etag}"))
        self.assertEqual(("2", 200, b""), self.version(url, "--head", "-o", "/dev/null"))

        done = subprocess.run(
            ["h2load", "-n", "400", "-c", "4", "-m", "32", url], capture_output=True, text=True, timeout=60 * SLOWNESS
        )
        self.assertRegex(done.stdout, r"400 succeeded, 0 failed", done.stdout)
        self.assertIn(f"{400 * len(segment)}", re.sub(r"[(),]", " ", done.stdout))
        self.assertEqual(3, edge.metric("weir_cache_fetches_total"), "the segment, the playlist, and what is not there")

    def test_many_requests_of_one_connection_are_answered_side_by_side(self):
        released = threading.Event()

        def answer(asked):
            if asked.path == "/slow":
                released.wait(20)
            asked.give(asked.path.encode(), Cache_Control="no-store")

        edge = self.node(upstream=ScriptedOrigin(self.scene, answer))
        client = subprocess.Popen(
            ["nghttp", "-nv", f"{edge.base}/slow", *(f"{edge.base}/quick/{i}" for i in range(20))],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.scene.at_end(client.stdout.close)
        lines, answered = [], lambda: sum(":status: 200" in line for line in lines)
        reader = threading.Thread(target=lambda: lines.extend(iter(client.stdout.readline, "")))
        reader.start()
        wait_until(lambda: answered() == 20, "nobody waits for the slow one")
        released.set()
        self.assertEqual(0, client.wait(20))
        reader.join()
        self.assertEqual(21, answered())

    def test_blocking_reloads_of_both_versions_are_one_request_for_each_position(self):
        released = threading.Event()
        text = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na-1.ts\n"

        def answer(asked):
            released.wait(20)
            asked.give(text)

        origin = ScriptedOrigin(self.scene, answer)
        edge = self.node(upstream=origin)
        path, heard = "/live/a.m3u8?_HLS_msn=7&_HLS_part=1", []
        viewers = [lambda: heard.append(self.version(edge.base + path)[::2]) for _ in range(6)]
        viewers += [lambda: heard.append(("1.1", request(edge.http, "GET", path, timeout=30)[2])) for _ in range(6)]
        threads = [threading.Thread(target=viewer) for viewer in viewers]
        for thread in threads:
            thread.start()
        waiting = lambda: edge.metric("weir_cache_requests_total", '"coalesced"')
        wait_until(lambda: waiting() == 11, "all wait", 10 * SLOWNESS)
        released.set()
        for thread in threads:
            thread.join()
        self.assertEqual([("1.1", text)] * 6 + [("2", text)] * 6, sorted(heard))
        self.assertEqual(1, len(origin.asked))

    def test_a_low_latency_player_reads_a_stream_to_the_end_of_its_patience(self):
        origin = LlHlsOrigin(self.scene, "ll")
        edge = self.node(upstream=origin)
        playlist = self.version(f"{edge.base}/live/a.m3u8")[2].decode()
        number = max(int(word) for word in re.findall(r"a/(\d+)\.\d+\.m4s", playlist))
        for part in range(3):
            version, status, body = self.version(f"{edge.base}/live/a.m3u8?_HLS_msn={number + 1}&_HLS_part={part}")
            self.assertEqual(("2", 200), (version, status))
            self.assertIn(f"a/{number + 1}.{part}.m4s", body.decode())
            version, status, body = self.version(f"{edge.base}/live/a/{number + 1}.{part}.m4s")
            self.assertEqual(("2", 200), (version, status))
            self.assertIn(b"moof", body[:8])

    def test_a_live_stream_and_signalling_go_over_it_too(self):
        edge = self.node(edge__gone_timeout="1s", edge__source_timeout="1s")
        clip = media.encode_clip(self.scene, seconds=6)
        pictures = media.frame_sums(self.scene, clip)
        publisher = media.publish(self.scene, clip, edge.rtmp_url("a"), loop=False)
        wait_until(lambda: edge.metric("weir_publishers") == 1, "the stream is published")
        got = self.scene.path("got.flv")
        self.assertEqual(("2", 200), self.version(f"{edge.base}/live/a.flv", "-o", got)[:2])
        self.assertEqual(0, publisher.wait(20 * SLOWNESS))
        seen = media.frame_sums(self.scene, got)
        self.assertGreater(len(seen), 50)
        first = pictures.index(seen[0])
        self.assertEqual(pictures[first : first + len(seen)], seen)

        asked = []

        def answer(request):
            asked.append(request.rfile.read(int(request.headers["Content-Length"])).decode())
            request.give(b"no", 403)

        options = {"listen__webrtc": f"127.0.0.1:{free_port()}", "webrtc__candidates": "127.0.0.1"}
        proxy = self.node("proxy", ScriptedOrigin(self.scene, answer), **options)
        post = ("-H", "Content-Type: application/sdp", "--data-binary", OFFER)
        self.assertEqual(("2", 403), self.version(f"{proxy.base}/rtc/v1/whip/?app=live&stream=a", *post)[:2])
        self.assertIn("a=ice-ufrag:cLnT", asked[0])

    def test_it_can_be_turned_off_and_on(self):
        node = self.node(tls__http2="off")
        self.assertEqual(("1.1", 404), self.version(f"{node.base}/none")[:2])

    def test_who_resets_as_fast_as_he_asks_is_sent_away_and_nobody_else_notices(self):
        held = threading.Event()
        self.scene.at_end(held.set)
        origin = ScriptedOrigin(self.scene, lambda asked: (held.wait(20), asked.give(b"", 503)))
        edge = self.node(upstream=origin)
        other = self.raw(edge)
        client = self.raw(edge)
        try:
            for stream in range(1, 20_000, 2):
                client.sendall(get(stream, b"/live/%d.ts" % stream) + frame(RESET, 0, stream, struct.pack(">I", 8)))
        except OSError:
            pass
        heard = b""
        try:
            while data := client.recv(65536):
                heard += data
        except OSError:
            pass
        goaway = heard.find(b"\x00\x00\x08" + bytes([GOAWAY]) + bytes(5))
        if goaway >= 0:  # the kernel may have thrown it away with the connection
            self.assertEqual(ENHANCE_YOUR_CALM, struct.unpack(">I", heard[goaway + 13 : goaway + 17])[0])
        wait_until(lambda: edge.metric("weir_connections") == 1, "the connection is over")
        self.assertLess(len(origin.asked), 400)
        self.assertIn("frames that only cost work", edge.log())
        other.sendall(get(1, b"/a b")[:-1] + b"a")
        self.assertTrue(other.recv(100))
        self.assertEqual(404, request(edge.system, "GET", "/none")[0])

    def test_a_node_that_goes_away_says_so(self):
        node = self.node(shutdown__grace="5s")
        client = self.raw(node)
        client.sendall(get(1, b"/none"))
        heard = client.recv(65536)
        node.process.signal(signal.SIGTERM)
        client.settimeout(10)
        while data := client.recv(65536):
            heard += data
        self.assertIn(b"\x00\x00\x08" + bytes([GOAWAY]) + bytes(5), heard)
        self.assertEqual(0, node.process.wait(10))


if __name__ == "__main__":
    scene.main()
