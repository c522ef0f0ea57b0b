"""TLS at every door: RTMPS, HTTPS, WSS and the system API, towards clients and towards upstreams."""

import os
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.certificates import Certificates
from support.live import LivePipe
from support.node import BINARY, Weir
from support.origin import Origin
from support.scene import SLOWNESS, free_port, wait_until

def pair(files):
    return ":".join(files)


class Tls(scene.SceneTest):
    def setUp(self):
        self.certificates = Certificates(self.scene)

    def node(self, role, name, upstreams=None, certificates=None, **options):
        """With TLS listeners as well; `.rtmps` and `.https` are their ports."""
        rtmps, https = free_port(), free_port()
        node = Weir(
            self.scene,
            role,
            name=name,
            upstreams=upstreams,
            options={
                "listen.rtmps": f"127.0.0.1:{rtmps}",
                "listen.https": f"127.0.0.1:{https}",
                "tls.certificates": certificates or pair(self.certificates.server),
                **{key.replace("__", "."): value for key, value in options.items()},
            },
        )
        node.rtmps, node.https = rtmps, https
        return node

    def over_tls(self, node, **changes):
        """That node as an upstream, to be reached over TLS alone."""
        ports = {"rtmp": f"rtmps://127.0.0.1:{node.rtmps}", "http": f"https://127.0.0.1:{node.https}"}
        return {**ports, "tls_ca": self.certificates.ca, **changes}

    def connect(self, port, name="127.0.0.1", context=None, session=None):
        context = context or self.certificates.context()
        plain = socket.create_connection(("127.0.0.1", port), 5)
        self.scene.at_end(plain.close)
        return context.wrap_socket(plain, server_hostname=name, session=session)

    def curl(self, *words):
        command = ["curl", "-sS", "--max-time", "20", "--cacert", self.certificates.ca, *words]
        return subprocess.run(command, capture_output=True, timeout=30)

    def s_client(self, port, *words):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", self.certificates.ca, *words]
        done = subprocess.run(command, input=b"", capture_output=True, timeout=20)
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")

    def failures(self, node, reason):
        return node.metric("weir_tls_handshake_failures_total", f'reason="{reason}"')

    def test_a_stream_goes_from_publisher_to_viewers_over_tls_all_the_way(self):
        clip = media.encode_clip(self.scene, seconds=8)
        pictures = media.frame_sums(self.scene, clip)
        origin = self.node("edge", "origin", edge__gone_timeout="1s")
        proxy = self.node("proxy", "proxy", {"origin": self.over_tls(origin)})
        short = {"edge__gone_timeout": "1s", "edge__source_timeout": "1s"}
        edges = [
            self.node("edge", f"edge-{pull}", {"proxy": self.over_tls(proxy)}, edge__pull=pull, **short)
            for pull in ("rtmp", "flv")
        ]
        url = f"rtmps://127.0.0.1:{proxy.rtmps}/live/a"
        publisher = media.publish(self.scene, clip, url, loop=False)
        wait_until(lambda: origin.metric("weir_publishers") == 1, "the stream is published")
        played = self.scene.path("played.flv")
        player = self.scene.start(
            "player",
            [*media.FFMPEG, "-i", f"rtmps://127.0.0.1:{edges[0].rtmps}/live/a", "-c", "copy", "-f", "flv", played],
        )
        context = self.certificates.context()
        pipes = {
            f"{edge.name}.{name}": LivePipe(
                self.scene, edge.https, f"/live/a.{kind}", upgrade=upgrade, tls=context
            )
            for edge in edges
            for name, kind, upgrade in (("flv", "flv", False), ("wss.ts", "ts", True))
        }
        for name, pipe in pipes.items():
            self.assertEqual(101 if "wss" in name else 200, pipe.status)
        threads = [threading.Thread(target=pipe.read, kwargs={"seconds": 40 * SLOWNESS}) for pipe in pipes.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(0, publisher.wait(20 * SLOWNESS))
        player.wait(20 * SLOWNESS)
        for name, pipe in pipes.items():
            with open(self.scene.path(name), "wb") as file:
                file.write(pipe.body)
        for name in (*pipes, "played.flv"):
            with self.subTest(name):
                got = media.frame_sums(self.scene, self.scene.path(name))
                self.assertGreater(len(got), 50)
                first = pictures.index(got[0])
                self.assertEqual(pictures[first : first + len(got)], got)
        for node in (origin, proxy, *edges):
            self.assertGreater(node.metric("weir_tls_handshakes_total", 'version="TLSv1.3"'), 0)
            self.assertEqual(0, node.metric("weir_tls_kernel") - os.path.exists("/proc/net/tls_stat"))

    def test_what_an_edge_caches_comes_and_goes_over_tls(self):
        origin = Origin(self.scene, tls=self.certificates.server)
        files = os.path.join(origin.directory, "files")
        segment = os.urandom(3_000_000)
        with open(os.path.join(files, "a-1.ts"), "wb") as file:
            file.write(segment)
        with open(os.path.join(files, "a.m3u8"), "w") as file:
            file.write("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na-1.ts\n")
        upstream = {"http": f"https://localhost:{origin.https}", "tls_ca": self.certificates.ca}
        edge = self.node("edge", "edge", {"origin": upstream})
        base = f"https://127.0.0.1:{edge.https}/files"
        for _ in range(2):
            done = self.curl(f"{base}/a-1.ts")
            self.assertEqual((0, segment), (done.returncode, done.stdout), done.stderr)
        done = self.curl(f"{base}/a.m3u8")
        self.assertIn(b"a-1.ts", done.stdout)
        self.assertEqual(segment[100:70_000], self.curl("-r", "100-69999", f"{base}/a-1.ts").stdout)
        self.assertEqual(2, edge.metric("weir_cache_fetches_total"))

    def test_files_and_the_system_api_are_served_over_tls(self):
        page = os.urandom(2_000_000)
        os.mkdir(self.scene.path("www"))
        with open(self.scene.path("www/page.bin"), "wb") as file:
            file.write(page)
        system = free_port()
        node = self.node(
            "proxy", "proxy", http__root=self.scene.path("www"), listen__system_https=f"127.0.0.1:{system}"
        )
        done = self.curl(f"https://127.0.0.1:{node.https}/page.bin")
        self.assertEqual((0, page), (done.returncode, done.stdout), done.stderr)
        done = self.curl(f"https://127.0.0.1:{system}/metrics")
        self.assertIn(b"weir_build_info", done.stdout, done.stderr)
        self.assertNotEqual(0, self.curl("--tls-max", "1.1", f"https://127.0.0.1:{system}/metrics").returncode)

    def test_a_client_gets_the_certificate_for_its_name(self):
        sites = [self.certificates.site(name) for name in ("one.test", "two.test", "*.two.test")]
        node = self.node("proxy", "proxy", certificates=",".join(map(pair, sites)))
        for asked, shown in (
            ("one.test", "one.test"),
            ("two.test", "two.test"),
            ("a.two.test", "*.two.test"),
            ("three.test", "one.test"),
        ):
            _, text = self.s_client(node.https, "-servername", asked)
            self.assertIn(f"subject=CN = {shown}\n", text)
        _, text = self.s_client(node.rtmps, "-noservername")
        self.assertIn("subject=CN = one.test\n", text)

    def test_a_session_is_resumed_on_any_loop(self):
        node = self.node("proxy", "proxy", workers="2")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.certificates.context()
            context.maximum_version = version
            session = None
            for attempt in range(8):
                client = self.connect(node.https, context=context, session=session)
                client.sendall(b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                self.assertTrue(client.recv(100))
                self.assertEqual(attempt > 0, client.session_reused)
                session = client.session
                client.close()
        self.assertEqual(14, node.metric("weir_tls_handshakes_total", 'resumed="yes"'))

    def test_what_is_no_good_handshake_is_refused_and_counted(self):
        node = self.node("proxy", "proxy", tls__handshake_timeout="500ms")
        status, text = self.s_client(node.https, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        self.assertNotEqual(0, status)
        self.assertIn("alert protocol version", text)
        status, text = self.s_client(node.https, "-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0")
        self.assertIn("alert handshake failure", text)
        wait_until(lambda: self.failures(node, "protocol") == 2, "both are counted")

        plain = socket.create_connection(("127.0.0.1", node.https), 5)
        plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        plain.settimeout(5)
        said = plain.recv(100)
        self.assertNotIn(b"HTTP", said)
        plain.close()
        wait_until(lambda: self.failures(node, "protocol") == 3, "a client without TLS is counted")

        for beginning in (b"", b"\x16\x03\x01\x02\x00\x01"):
            half = socket.create_connection(("127.0.0.1", node.https), 5)
            half.sendall(beginning)
            half.settimeout(5)
            began = time.monotonic()
            self.assertEqual(b"", half.recv(100))
            self.assertLess(time.monotonic() - began, 2 * SLOWNESS)
            half.close()
        self.assertEqual(2, self.failures(node, "timeout"))
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.connect(node.https, context=ssl.create_default_context())
        wait_until(lambda: self.failures(node, "denied") == 1, "a client that does not trust us is counted")
        # Nothing of it has harmed anybody.
        self.assertEqual("TLSv1.3", self.connect(node.https).version())

    def test_an_upstream_that_cannot_prove_who_it_is_gets_nothing(self):
        other = self.certificates.site("other.test")
        origin = self.node("edge", "origin", certificates=pair(other))
        clip = media.encode_clip(self.scene, seconds=2)
        media.publish(self.scene, clip, origin.rtmp_url("a"))
        wait_until(lambda: origin.metric("weir_publishers") == 1, "the stream is published")

        def status_at(name, **changes):
            options = {"health__check": "off", "edge__start_timeout": "1s"}
            edge = self.node("edge", name, {"origin": self.over_tls(origin, **changes)}, **options)
            return edge, LivePipe(self.scene, edge.http, "/live/a.flv").status

        edge, status = status_at("strict")
        self.assertNotEqual(200, status)
        self.assertIn("certificate verify failed: IP address mismatch", edge.log())
        edge, status = status_at("stranger", tls_ca=self.certificates.server[0], tls_name="other.test")
        self.assertNotEqual(200, status)
        edge, status = status_at("named", tls_name="other.test")
        self.assertEqual(200, status)
        edge, status = status_at("careless", tls_ca="", tls_verify="off")
        self.assertEqual(200, status)
        self.assertIn("certificates of an upstream are not verified", edge.log())

    def test_mistakes_are_told_at_the_start(self):
        for options, complaint in (
            ({"listen.https": "0"}, "listen.https: needs tls.certificates"),
            ({"tls.certificates": "/nowhere"}, "tls.certificates: /nowhere: "),
            ({"upstream.a.srt": "rtmps://h:1"}, "upstream.a.srt: is not spoken over TLS"),
            ({"upstream.a.rtmp": "rtmps://h", "upstream.a.tls_ca": "/nowhere"}, "upstream.a.tls_ca: "),
        ):
            sets = [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
            status, text = self.scene.run("weir-wrong", [BINARY, "--role=proxy", *sets], 10)
            self.assertEqual(1, status, text)
            self.assertIn(complaint, text)


if __name__ == "__main__":
    scene.main()
