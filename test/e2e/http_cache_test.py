"""The edge's HTTP cache: one fetch for all, served while it arrives, good for as long as it should be."""

import http.client
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import scene
from support.node import Weir, request
from support.origin import Origin
from support.scene import SLOWNESS, wait_until
from support.scripted_origin import ScriptedOrigin

CROWD = 500 if SLOWNESS == 1 else 100
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nlive-7.ts\n"
SEGMENT = bytes(range(256)) * 2000


class HttpCache(scene.SceneTest):
    def edge(self, origin, **options):
        upstream = {"http": origin.http}
        options = {key.replace("__", "."): value for key, value in options.items()}
        options = {"limits.per_address": "2000", "health.check": "off", **options}  # requests are counted
        self.edge_node = Weir(self.scene, "edge", upstreams={"origin": upstream}, options=options)
        return self.edge_node

    def get(self, path, method="GET", **headers):
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return request(self.edge_node.http, method, path, headers=fields)

    def results(self, result):
        return self.edge_node.metric("weir_cache_requests_total", f'result="{result}"')

    def test_files_of_nginx_are_fetched_once_and_served_in_every_form(self):
        origin = Origin(self.scene)
        files = os.path.join(origin.directory, "files")
        for name, data in (("a-7.ts", SEGMENT), ("a.m3u8", PLAYLIST)):
            with open(os.path.join(files, name), "wb") as file:
                file.write(data)
        self.edge(origin, cache__purge_token="secret")
        for name, data in (("a-7.ts", SEGMENT), ("a.m3u8", PLAYLIST)):
            path = f"/files/{name}"
            first, again = self.get(path), self.get(path)
            self.assertEqual((200, data), (first[0], first[2]))
            self.assertEqual((200, data), (again[0], again[2]))
            self.assertIn("fwd=uri-miss", first[1]["Cache-Status"])
            self.assertIn("; hit; ttl=", again[1]["Cache-Status"])
            self.assertEqual("0", again[1]["Age"])
            self.assertEqual("*", again[1]["Access-Control-Allow-Origin"])
        self.assertEqual(2, self.edge_node.metric("weir_cache_fetches_total"))

        path, tag = "/files/a-7.ts", again[1]["ETag"]
        status, headers, body = self.get(path, Range="bytes=100-199")
        self.assertEqual((206, SEGMENT[100:200]), (status, body))
        self.assertEqual(f"bytes 100-199/{len(SEGMENT)}", headers["Content-Range"])
        self.assertEqual(SEGMENT[-5:], self.get(path, Range="bytes=-5")[2])
        self.assertEqual(416, self.get(path, Range=f"bytes={len(SEGMENT)}-")[0])
        self.assertEqual((200, SEGMENT), self.get(path, Range="bytes=0-1,3-4")[::2])
        self.assertEqual((304, b""), self.get("/files/a.m3u8", If_None_Match=tag)[::2])
        status, headers, body = self.get(path, method="HEAD")
        self.assertEqual((200, b"", str(len(SEGMENT))), (status, body, headers["Content-Length"]))
        self.assertEqual(2, self.edge_node.metric("weir_cache_fetches_total"))
        self.assertEqual(404, self.get("/files/none.m4s")[0])
        self.assertEqual(404, self.get("/files/none.m4s")[0])
        self.assertEqual(3, self.edge_node.metric("weir_cache_fetches_total"))

        self.assertEqual(403, self.get(path, method="PURGE")[0])
        self.assertEqual(200, self.get(path, method="PURGE", Authorization="Bearer secret")[0])
        self.assertEqual(404, self.get(path, method="PURGE", Authorization="Bearer secret")[0])
        self.assertIn("fwd=uri-miss", self.get(path)[1]["Cache-Status"])

    def test_a_crowd_on_a_cold_playlist_and_segment_is_one_fetch_each(self):
        released = threading.Event()

        def answer(asked):
            released.wait(20)
            asked.give(PLAYLIST if "m3u8" in asked.path else SEGMENT)

        origin = ScriptedOrigin(self.scene, answer)
        self.edge(origin)
        paths = ["/live/a.m3u8", "/live/a-7.m4s"]
        crowd = []
        for i in range(CROWD):
            sock = socket.create_connection(("127.0.0.1", self.edge_node.http), 10)
            self.scene.at_end(sock.close)
            sock.sendall(f"GET {paths[i % 2]} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            crowd.append(sock)
        wait_until(lambda: self.results("coalesced") == CROWD - 2, "all wait", 20)
        crowd[0].close()  # the first asker leaves, the fetch goes on
        released.set()
        for i, sock in enumerate(crowd[1:], 1):
            sock.settimeout(20)
            heard = b"".join(iter(lambda sock=sock: sock.recv(1 << 20), b""))
            self.assertTrue(heard.endswith(SEGMENT if i % 2 else PLAYLIST), heard[:200])
        self.assertEqual([1, 1], [origin.count(path) for path in paths])
        self.assertEqual(0, self.edge_node.metric("weir_cache_fills"))

    def test_a_segment_is_served_while_it_arrives(self):
        go_on = threading.Event()

        def answer(asked):
            asked.begin(Transfer_Encoding="chunked", Content_Type="video/mp4")
            asked.chunk(b"first,")
            go_on.wait(20)
            asked.chunk(b"second")
            asked.chunk(b"")

        origin = ScriptedOrigin(self.scene, answer)
        self.edge(origin)
        viewers = []
        for headers in ({}, {}, {"Range": "bytes=2-7"}):
            viewer = http.client.HTTPConnection("127.0.0.1", self.edge_node.http, timeout=20)
            self.scene.at_end(viewer.close)
            viewer.request("GET", "/live/a.7.m4s", headers=headers)
            if not headers:
                response = viewer.getresponse()
                self.assertEqual(b"first,", response.read(6))
                viewers.append(response)
        go_on.set()
        for response in viewers:
            self.assertEqual(b"second", response.read())
        part = viewer.getresponse()
        self.assertEqual((206, b"rst,se"), (part.status, part.read()))
        self.assertEqual(1, len(origin.asked))

    def test_a_broken_response_is_cut_off_and_not_kept(self):
        broken = threading.Event()

        def answer(asked):
            asked.begin(Content_Length=len(SEGMENT))
            if broken.is_set():
                asked.wfile.write(SEGMENT)
            else:
                asked.wfile.write(SEGMENT[:1000])
                asked.close_connection = True

        origin = ScriptedOrigin(self.scene, answer)
        self.edge(origin)
        with self.assertRaises(http.client.IncompleteRead):
            self.get("/live/a.m4s")
        broken.set()
        self.assertEqual((200, SEGMENT), self.get("/live/a.m4s")[::2])

    def test_a_playlist_outlives_its_origin_by_one_target_duration(self):
        origin = Origin(self.scene)
        with open(os.path.join(origin.directory, "files", "a.m3u8"), "wb") as file:
            file.write(PLAYLIST)
        self.edge(origin, origin__eject="100ms")
        self.assertEqual(200, self.get("/files/a.m3u8")[0])
        origin.process.kill()
        statuses = []

        def gone():
            statuses.append(self.get("/files/a.m3u8")[0])
            return statuses[-1] != 200

        wait_until(gone, "the playlist is not served for ever", 2 * SLOWNESS + 1, pause=0.1)
        self.assertGreater(statuses.count(200), 10)
        self.assertGreater(self.results("stale"), 0)
        self.assertIn(statuses[-1], (502, 503))
        origin.start()
        wait_until(lambda: self.get("/files/a.m3u8")[0] == 200, "it is back", 5)

    def test_what_is_private_is_nobody_elses_and_waits_for_nobody(self):
        def answer(asked):
            asked.give(asked.headers["Cookie"].encode(), Cache_Control="private", Set_Cookie="a=b")

        origin = ScriptedOrigin(self.scene, answer)
        self.edge(origin)
        for name in ("alice", "bob", "alice"):
            status, headers, body = self.get("/account", Cookie=name)
            self.assertEqual((200, name.encode(), "a=b"), (status, body, headers["Set-Cookie"]))
        self.assertEqual(3, len(origin.asked))

    def test_blocking_reloads_are_one_request_for_each_position(self):
        released = threading.Event()

        def answer(asked):
            released.wait(20)
            asked.give(PLAYLIST)

        origin = ScriptedOrigin(self.scene, answer)
        self.edge(origin, origin__reply_timeout="200ms", cache__ignore_args="token")
        heard = []

        def viewer(number):
            path = f"/live/a.m3u8?token={number}&_HLS_msn=7&_HLS_part={number % 2}"
            heard.append(self.get(path)[2])

        threads = [threading.Thread(target=viewer, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        wait_until(lambda: self.results("coalesced") == 18, "all wait", 10)
        released.set()
        for thread in threads:
            thread.join()
        self.assertEqual([PLAYLIST] * 20, heard)
        self.assertEqual(2, len(origin.asked))


if __name__ == "__main__":
    scene.main()
