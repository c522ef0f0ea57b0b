"""The description of the API is true: every path exists, every answer is as it says, and it names all that answers."""

import json
import os
import re
import sys
import urllib.parse

import jsonschema

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir, request
from support.scene import REPOSITORY, free_port, wait_until

KEY = "__defaultVhost__/live/a"
API = "/api/v1"


def published():
    with open(os.path.join(REPOSITORY, "etc/openapi.json")) as file:
        return json.load(file)


def as_json_schema(part):
    """OpenAPI 3.0's way to allow null, in JSON Schema's."""
    if isinstance(part, list):
        return [as_json_schema(each) for each in part]
    if not isinstance(part, dict):
        return part
    plain = {name: as_json_schema(value) for name, value in part.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if part.get("nullable") else plain


class OpenApi(scene.SceneTest):
    def setUp(self):
        self.description = published()
        self.schemas = as_json_schema(self.description["components"]["schemas"])
        self.asked = set()  # (method, path) that were answered with success

    def cluster(self):
        api = {"listen.api": f"127.0.0.1:{free_port()}"}
        self.origin = Weir(self.scene, "edge", "origin")
        self.proxy = Weir(
            self.scene,
            "proxy",
            upstreams={"origin": {**self.origin.as_upstream(), "api": self.origin.system}},
            options=api,
        )
        self.edge = Weir(
            self.scene,
            "edge",
            upstreams={"proxy": {**self.proxy.as_upstream(), "api": self.proxy.system}},
            options={"listen.api": f"127.0.0.1:{free_port()}"},
        )
        media.publish(self.scene, media.encode_clip(self.scene), self.proxy.rtmp_url("a"))
        viewers = [
            FlvViewer("127.0.0.1", self.edge.http, "/live/a.flv"),
            RtmpViewer("127.0.0.1", self.proxy.rtmp, "live", "a"),
        ]
        Crowd(self.scene).add(*viewers)
        wait_until(lambda: all(v.playing(5) for v in viewers), lambda: [v.describe() for v in viewers], 20)

    def check(self, port, method, path, status=200, **arguments):
        """Asks for a path as the description writes it, {id} filled in from `arguments`, the rest of which is the
        query; the answer, which is as described."""
        operation = self.description["paths"][path][method.lower()]
        target, query = path, {}
        for name, value in arguments.items():
            if f"{{{name}}}" in target:
                target = target.replace(f"{{{name}}}", urllib.parse.quote(str(value)))
            elif name != "body":
                query[name] = value
        known = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
        self.assertLessEqual(set(query), known)
        if query:
            target += "?" + urllib.parse.urlencode(query)
        sent = json.dumps(arguments["body"]) if "body" in arguments else None
        got, headers, body = request(port, method, target, sent)
        self.assertEqual(status, got, (method, target, body[:300]))
        content = operation["responses"][str(status)]["content"]
        (kind, described), = content.items()
        self.assertEqual(kind, headers["Content-Type"], target)
        if status == 200:
            self.asked.add((method.lower(), path))
        if kind != "application/json":
            return body.decode()
        answer = json.loads(body)
        schema = {**as_json_schema(described["schema"]), "components": {"schemas": self.schemas}}
        try:
            jsonschema.Draft4Validator(schema).validate(answer)
        except jsonschema.ValidationError as error:
            self.fail(f"{method} {target}: {error.message} at {list(error.absolute_path)}")
        return answer

    def test_the_description_is_what_nodes_give(self):
        self.cluster()
        for node in (self.proxy, self.edge):
            api = int(node.options["listen.api"].rsplit(":", 1)[1])
            for port in (node.system, api):
                self.assertEqual(self.description, self.check(port, "GET", f"{API}/openapi.json"))
                self.reading(port, node)
            self.nothing_else_answers(node.system, api)
            self.changes_nothing(api)
        self.changing()
        everything = {
            (method, path)
            for path, methods in self.description["paths"].items()
            for method in methods
            if path not in (f"{API}/events", "/console/")  # one never ends, the other may not be installed
        }
        self.assertEqual(everything, self.asked)

    def reading(self, port, node):
        check = self.check
        check(port, "GET", API)
        check(port, "GET", f"{API}/versions")
        for scope in ({}, {"scope": "cluster"}):
            check(port, "GET", f"{API}/summaries", **scope)
            vhosts = check(port, "GET", f"{API}/vhosts", **scope)["vhosts"]
            streams = check(port, "GET", f"{API}/streams", start=0, count=5, **scope)["streams"]
            clients = check(port, "GET", f"{API}/clients", count=100, **scope)["clients"]
            self.assertTrue(vhosts and streams and clients)
        check(port, "GET", f"{API}/vhosts/{{id}}", id="__defaultVhost__")
        for id_ in (KEY, streams[0]["id"]):
            stream = check(port, "GET", f"{API}/streams/{{id}}", id=id_)["stream"]
        self.assertEqual(node.role == "edge", stream["video"] is not None)
        own = check(port, "GET", f"{API}/clients", stream=KEY)["clients"]
        check(port, "GET", f"{API}/clients/{{id}}", id=own[0]["id"])
        check(port, "GET", f"{API}/routes/{{app}}/{{stream}}", app="live", stream="a")
        upstream = check(port, "GET", f"{API}/upstreams")["upstreams"][0]
        check(port, "GET", f"{API}/upstreams/{{id}}", id=upstream["id"])
        for page in ("/metrics", "/healthz", "/readyz"):
            check(port, "GET", page)
        for name in ("vhosts", "streams", "clients", "upstreams"):
            check(port, "GET", f"{API}/{name}/{{id}}", 404, id="nobody")
        check(port, "GET", f"{API}/streams", 400, count=1001)

    def nothing_else_answers(self, system, api):
        """What the index names is described, and what is described answers where its tag says."""
        for port in (system, api):
            paths = [path for path in self.description["paths"] if path.startswith(f"{API}/")]
            described = {path.removeprefix(API).split("/")[1] for path in paths}
            self.assertLessEqual(set(self.check(port, "GET", API)["urls"]), described)
        self.check(system, "GET", f"{API}/history")
        for path in (f"{API}/history", f"{API}/events", "/console/"):
            self.assertEqual(404, request(api, "GET", path)[0], path)
        for path, methods in self.description["paths"].items():
            target = re.sub(r"\{\w+\}", "nobody", path)
            if path not in (f"{API}/events", f"{API}/drain", f"{API}/reload"):
                for method in {"get", "post", "delete"} - set(methods):
                    status = request(system, method.upper(), target)[0]
                    self.assertIn(status, (404, 405), f"{method} {path} answers {status} and is not described")

    def changes_nothing(self, api):
        for path, methods in self.description["paths"].items():
            for method, operation in methods.items():
                if "change" in operation["tags"]:
                    target = re.sub(r"\{\w+\}", "nobody", path)
                    self.assertIn(request(api, method.upper(), target)[0], (404, 405), f"{method} {path}")

    def changing(self):
        system = self.proxy.system
        check = self.check
        for verb in ("drain", "undrain"):
            check(system, "POST", f"{API}/upstreams/{{id}}/{verb}", id="origin")
            check(system, "POST", f"{API}/upstreams/{{id}}/{verb}", 404, id="nobody")
        late = {"server": "late", "service": "1", "pid": "2", "ip": "127.0.0.1", "rtmp": [str(free_port())]}
        jsonschema.Draft4Validator(self.schemas["Registration"]).validate(late)
        check(system, "POST", f"{API}/srs/register", body=late)
        check(system, "POST", f"{API}/srs/register", 400, body={})
        check(system, "DELETE", f"{API}/upstreams/{{id}}", id="late")
        check(system, "DELETE", f"{API}/upstreams/{{id}}", 403, id="origin")
        client = check(system, "GET", f"{API}/clients", stream=KEY)["clients"][0]
        check(system, "DELETE", f"{API}/clients/{{id}}", id=client["id"])
        check(system, "DELETE", f"{API}/clients/{{id}}", 404, id=client["id"])
        check(system, "POST", f"{API}/reload")
        check(system, "POST", f"{API}/drain")


if __name__ == "__main__":
    scene.main()
