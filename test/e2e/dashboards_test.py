"""What an operator looks at: Grafana's dashboard and the alert rules, against a Prometheus that scrapes a proxy and an edge."""

import json
import os
import re
import subprocess
import sys
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir, request
from support.scene import REPOSITORY, SLOWNESS, free_port, wait_until

RULES = os.path.join(REPOSITORY, "etc/prometheus/weir.rules.yml")
DASHBOARD = os.path.join(REPOSITORY, "etc/grafana/weir.json")
NODE = 'job="weir",instance="a"'

# For each alert: series, minute by minute, under which it fires at minute 15 and which differ from all being well.
FIRES = {
    "WeirDown": {f"up{{{NODE}}}": "0x20"},
    "WeirRestarts": {f"process_start_time_seconds{{{NODE}}}": "100x5 400x3 600x3 700x9"},
    "WeirNoUpstream": {
        f'weir_upstreams{{{NODE},state="live"}}': "0x20",
        f'weir_upstreams{{{NODE},state="ejected"}}': "2x20",
    },
    "WeirUpstreamEjected": {f'weir_upstreams{{{NODE},state="ejected"}}': "1x20"},
    "WeirPullsAgainAndAgain": {f"weir_pulls_total{{{NODE}}}": "0+100x20"},
    "WeirOriginsFailHttp": {f"weir_http_failures_total{{{NODE}}}": "0+90x20"},
    "WeirCacheFails": {f'weir_cache_requests_total{{{NODE},result="failed"}}': "0+90x20"},
    "WeirRefusesConnections": {f"weir_connections_refused_total{{{NODE}}}": "0+1x20"},
    "WeirLoopBusy": {f'weir_loop_utilisation{{{NODE},loop="1"}}': "0.95x20"},
    "WeirSlowViewers": {f'weir_jumps_total{{{NODE},protocol="flv"}}': "0+20x20"},
    "WeirFilesRunOut": {f"process_open_fds{{{NODE}}}": "900x20"},
    "WeirViewersWait": {f'weir_join_seconds_bucket{{{NODE},protocol="flv",le="5"}}': "0x20"},
    "WeirAccessLogLosesLines": {f"weir_access_log_dropped_total{{{NODE}}}": "0+1x20"},
}
WELL = {
    f"up{{{NODE}}}": "1x20",
    f"process_start_time_seconds{{{NODE}}}": "100x20",
    f"process_open_fds{{{NODE}}}": "700x20",
    f"process_max_fds{{{NODE}}}": "1000x20",
    f'weir_upstreams{{{NODE},state="live"}}': "2x20",
    f'weir_upstreams{{{NODE},state="ejected"}}': "0x20",
    f"weir_pulls{{{NODE}}}": "10x20",
    f"weir_pulls_total{{{NODE}}}": "0+20x20",
    f"weir_http_requests_total{{{NODE}}}": "0+1000x20",
    f"weir_http_failures_total{{{NODE}}}": "0+10x20",
    f'weir_cache_requests_total{{{NODE},result="hit"}}': "0+1000x20",
    f'weir_cache_requests_total{{{NODE},result="failed"}}': "0+10x20",
    f"weir_connections_refused_total{{{NODE}}}": "7x20",
    f'weir_loop_utilisation{{{NODE},loop="1"}}': "0.8x20",
    f'weir_viewers{{{NODE},protocol="flv"}}': "100x20",
    f'weir_jumps_total{{{NODE},protocol="flv"}}': "0+1x20",
    f'weir_join_seconds_bucket{{{NODE},protocol="flv",le="5"}}': "0+100x20",
    f'weir_join_seconds_bucket{{{NODE},protocol="flv",le="10"}}': "0+100x20",
    f'weir_join_seconds_bucket{{{NODE},protocol="flv",le="+Inf"}}': "0+100x20",
    f"weir_access_log_dropped_total{{{NODE}}}": "3x20",
}
# As dashboards of SRS's ask its exporter.
_BUILD = 'srs_build_info{tag=~"$server_role",instance=~"$instance",label=~"$zone"}'
SRS_QUERIES = [
    f"sum({_BUILD}) by (tag)",
    f"sum({_BUILD}) by (version)",
    *(
        f"{value} * on(instance) group_left(tag,label) {_BUILD}"
        for value in (
            "srs_streams",
            "srs_clients",
            "srs_clients_total",
            "srs_clients_errs_total",
            "rate(srs_send_bytes_total[30s])*8/1000",
            "rate(srs_receive_bytes_total[30s])*8/1000",
        )
    ),
    "srs_cpu_percent",
    "srs_memory",
    "srs_node_uname_info",
]


def dashboard_queries():
    """(where, query) of every panel and annotation, with Grafana's variables filled in."""
    with open(DASHBOARD) as file:
        dashboard = json.load(file)
    found = [(note["name"], note["expr"]) for note in dashboard["annotations"]["list"]]
    for panel in dashboard["panels"]:
        found += [(panel["title"], target["expr"]) for target in panel.get("targets", [])]
    return [(where, q.replace("$instance", ".*").replace("$__rate_interval", "5s")) for where, q in found]


class Dashboards(scene.SceneTest):
    def prometheus(self, *nodes):
        self.port = free_port()
        config = self.scene.path("prometheus.yml")
        targets = [f"127.0.0.1:{node.system}" for node in nodes]
        with open(config, "w") as file:  # JSON is YAML
            json.dump(
                {
                    "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
                    "rule_files": [RULES],
                    "scrape_configs": [{"job_name": "weir", "static_configs": [{"targets": targets}]}],
                },
                file,
            )
        self.scene.start(
            "prometheus",
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.scene.path('tsdb')}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
        )  # fmt: skip

    def ask(self, page, **arguments):
        path = f"/api/v1/{page}?{urllib.parse.urlencode(arguments)}"
        try:
            status, _, body = request(self.port, "GET", path)
        except OSError:
            return None
        answer = json.loads(body) if body.startswith(b"{") else {}
        if status == 503:
            return None  # it still starts
        self.assertEqual((200, "success"), (status, answer.get("status")), f"{arguments}: {body[:300]}")
        return answer["data"]

    def finds(self, query):
        """Once every node has been scraped twice: a rate wants two samples."""
        found = lambda: (self.ask("query", query=query) or {}).get("result")
        wait_until(found, f"{query} finds something", 5 * SLOWNESS, 0.1)

    def test_every_query_of_dashboard_and_rules_finds_live_metrics(self):
        origin = Weir(self.scene, "edge", "origin")
        proxy = Weir(self.scene, "proxy", upstreams={"origin": origin.as_upstream()})
        log = {"access_log.path": self.scene.path("access.log"), "node.zone": "here"}
        edge = Weir(self.scene, "edge", upstreams={"proxy": proxy.as_upstream()}, options=log)
        media.publish(self.scene, media.encode_clip(self.scene), origin.rtmp_url("a"))
        crowd = Crowd(self.scene)
        viewers = [
            crowd.add(RtmpViewer("127.0.0.1", edge.rtmp, "live", "a")),
            crowd.add(FlvViewer("127.0.0.1", edge.http, "/live/a.flv")),
            crowd.add(RtmpViewer("127.0.0.1", proxy.rtmp, "live", "a")),
        ]
        # So that these count something: a request, one that fails, and who is refused.
        for path in ("/live/none.m3u8", "/live/none.flv"):
            request(proxy.http, "GET", path)
        wait_until(lambda: all(v.playing(10) for v in viewers), "they play", 20 * SLOWNESS)
        self.prometheus(proxy, origin, edge)
        rate = "sum(rate(weir_bytes_sent_total[5s]))"
        wait_until(
            lambda: (self.ask("query", query=rate) or {}).get("result"), "it scrapes", 20 * SLOWNESS, 0.3
        )

        queries = dashboard_queries()
        self.assertGreater(len(queries), 30)
        for where, query in queries:
            with self.subTest(where):
                # An annotation is empty while nothing happens.
                if where == "Restarts":
                    query = query.replace("> 0", ">= 0")
                self.finds(query)
        for query in SRS_QUERIES:
            query = query.replace("$instance", ".*").replace("$server_role", "edge").replace("$zone", "here")
            self.finds(query)
        at_edge = f'sum(weir_viewers{{instance="127.0.0.1:{edge.system}"}})'
        self.assertEqual("2", self.ask("query", query=at_edge)["result"][0]["value"][1])

        def rules():
            groups = self.ask("rules")["groups"]
            found = [rule for group in groups for rule in group["rules"]]
            return found if all(rule["health"] == "ok" for rule in found) else None

        rules = wait_until(rules, lambda: self.ask("rules"), 10)
        self.assertEqual(sorted(FIRES), sorted(rule["name"] for rule in rules))
        known = set(self.ask("label/__name__/values"))
        for rule in rules:
            names = set(re.findall(r"\b(?:weir|process)_\w+", rule["query"]))
            self.assertEqual(set(), names - known, rule["name"])
        self.assertEqual([], [rule["name"] for rule in rules if rule["state"] == "firing"])

        for node in (proxy, edge):
            text = request(node.system, "GET", "/metrics")[2].decode()
            self.promtool("check", "metrics", given=text)
            self.compare_with_docs(text)

    def compare_with_docs(self, text):
        """docs/metrics.md says of each family that is live what the node says."""
        with open(os.path.join(REPOSITORY, "docs/metrics.md")) as file:
            rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| (.*) \|$", file.read(), re.M)
        documented = {name: (kind, set(re.findall(r"`(\w+)`", labels)), words) for name, kind, labels, words in rows}
        helps = dict(re.findall(r"^# HELP (\w+) (.*)$", text, re.M))
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M):
            samples = re.findall(rf"^{name}(?:_bucket|_sum|_count)?\{{(.*)\}} ", text, re.M)
            labels = {label for sample in samples for label in re.findall(r'(\w+)="', sample)} - {"le"}
            self.assertEqual((kind, labels or documented[name][1], helps[name]), documented[name], name)

    def promtool(self, *argv, given=""):
        done = subprocess.run(["promtool", *argv], input=given, capture_output=True, text=True, check=False)
        self.assertEqual((0, ""), (done.returncode, done.stderr), done.stdout)
        return done.stdout

    def test_each_alert_fires_when_it_should_and_only_then(self):
        self.assertIn("SUCCESS", self.promtool("check", "rules", RULES))

        def case(changed, firing):
            series = [{"series": name, "values": values} for name, values in {**WELL, **changed}.items()]
            expression = 'count by (alertname) (ALERTS{alertstate="firing"})'
            samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing]
            asked = {"expr": expression, "eval_time": "15m", "exp_samples": samples}
            return {"interval": "1m", "input_series": series, "promql_expr_test": [asked]}

        # Nothing works without an upstream, and that one is ejected too.
        also = {"WeirNoUpstream": ["WeirNoUpstream", "WeirUpstreamEjected"]}
        cases = [case({}, [])] + [case(FIRES[name], also.get(name, [name])) for name in FIRES]
        path = self.scene.path("cases.yml")
        with open(path, "w") as file:
            json.dump({"rule_files": [RULES], "evaluation_interval": "1m", "tests": cases}, file)
        self.promtool("test", "rules", path)


if __name__ == "__main__":
    scene.main()
