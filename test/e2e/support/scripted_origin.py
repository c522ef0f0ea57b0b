"""An HTTP origin that a test scripts: it counts what it is asked, and holds answers back until told."""

import http.server
import ssl
import threading


class ScriptedOrigin:
    """`answer(request)` is called for each request, on a thread of its own; `request` is the handler. With the files
    of a `certificate` and its key it speaks TLS."""

    def __init__(self, scene, answer, certificate=None):
        self.asked = []
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                origin.asked.append(self.path)
                answer(self)

            do_HEAD = do_POST = do_PATCH = do_DELETE = do_GET

            def body(self):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def give(self, body, status=200, **headers):
                """A whole response; `Cache_Control` in headers is Cache-Control."""
                self.begin(status, Content_Length=len(body), **headers)
                self.wfile.write(body)

            def begin(self, status=200, **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), str(value))
                self.end_headers()
                self.wfile.flush()

            def chunk(self, data):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 1024
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a peer that leaves is no trouble of the test's

        self.server = Server(("127.0.0.1", 0), Handler)
        self.http = self.server.server_address[1]
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        scene.at_end(self.server.server_close)
        scene.at_end(self.server.shutdown)

    def count(self, path):
        return self.asked.count(path)

    def as_upstream(self):
        return {"http": self.http}
