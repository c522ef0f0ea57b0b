"""A web page beside the streams: http.root, in both roles."""

import http.client
import os
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import scene
from support.node import BINARY, Weir, request
from support.scene import wait_until

PAGE = b"<!doctype html><title>player</title>"
LARGE = bytes(range(256)) * 20_000


class StaticFiles(scene.SceneTest):
    def setUp(self):
        self.root = self.scene.path("www")
        os.makedirs(os.path.join(self.root, "player"))
        self.write("index.html", PAGE)
        self.write("player/app.js", b"play()")
        self.write("large.bin", LARGE)
        self.write(".env", b"secret")
        with open(self.scene.path("secret"), "wb") as file:
            file.write(b"secret")
        os.symlink("../secret", os.path.join(self.root, "out"))

    def write(self, name, content):
        with open(os.path.join(self.root, name), "wb") as file:
            file.write(content)

    def nodes(self):
        """Each role without anybody upstream: what is no file is nobody's."""
        for role in ("proxy", "edge"):
            yield Weir(self.scene, role, options={"http.root": self.root}, ready=False)

    def test_files_are_served_and_nothing_else_is(self):
        for node in self.nodes():
            status, headers, body = request(node.http, "GET", "/")
            self.assertEqual((200, PAGE), (status, body))
            self.assertEqual("text/html; charset=utf-8", headers["Content-Type"])
            self.assertEqual(LARGE, request(node.http, "GET", "/large.bin")[2])
            self.assertEqual(b"play()", request(node.http, "GET", "/player/app.js")[2])
            for path in ("/.env", "/out", "/../secret", "/%2e%2e/secret", "/..%2fsecret", "/missing"):
                status, _, body = request(node.http, "GET", path)
                self.assertGreaterEqual(status, 400, path)
                self.assertNotIn(b"secret", body, path)

    def test_methods_conditions_and_ranges(self):
        for node in self.nodes():
            status, headers, body = request(node.http, "HEAD", "/large.bin")
            self.assertEqual((200, str(len(LARGE)), b""), (status, headers["Content-Length"], body))
            self.assertEqual(405, request(node.http, "DELETE", "/large.bin")[0])
            same = {"If-None-Match": headers["ETag"]}
            self.assertEqual(304, request(node.http, "GET", "/large.bin", headers=same)[0])
            part = {"Range": "bytes=1000-2999"}
            status, headers, body = request(node.http, "GET", "/large.bin", headers=part)
            self.assertEqual((206, LARGE[1000:3000]), (status, body))
            self.assertEqual(f"bytes 1000-2999/{len(LARGE)}", headers["Content-Range"])
            beyond = {"Range": f"bytes={len(LARGE)}-"}
            self.assertEqual(416, request(node.http, "GET", "/large.bin", headers=beyond)[0])

    def test_one_connection_serves_file_after_file(self):
        for node in self.nodes():
            connection = http.client.HTTPConnection("127.0.0.1", node.http, timeout=10)
            for path, content in (("/", PAGE), ("/large.bin", LARGE), ("/player/app.js", b"play()")) * 3:
                connection.request("GET", path)
                self.assertEqual(content, connection.getresponse().read())
            connection.close()

    def test_a_client_that_reads_nothing_is_let_go(self):
        self.write("huge.bin", LARGE * 20)
        options = {"http.root": self.root, "viewer.stall_timeout": "1s"}
        node = Weir(self.scene, "proxy", options=options, ready=False)
        with socket.create_connection(("127.0.0.1", node.http)) as client:
            client.sendall(b"GET /huge.bin HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: node.metric("weir_connections") == 1, "the client is served")
            wait_until(lambda: node.metric("weir_connections") == 0, "the client is let go")

    def test_a_folder_that_is_not_there_is_told_at_once(self):
        status, text = self.scene.run("weir", [BINARY, "--role=proxy", "--set", "http.root=/missing"], 10)
        self.assertEqual(1, status)
        self.assertIn("http.root: /missing", text)


if __name__ == "__main__":
    scene.main()
