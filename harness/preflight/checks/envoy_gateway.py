"""Preflight checks of Envoy Gateway: controller, mode, proxies, access logs, rate limit service."""

from __future__ import annotations

import re
from collections.abc import Iterable

from harness import timeouts
from harness.audit.state import namespace_of
from harness.audit.waypoint_bindings import envoy_gateway_version, envoy_proxies, is_controller
from harness.objects.namespace_mapping import Placement
from harness.objects.stack_places import DEFAULT_PLACES, namespace_in
from harness.objects.unstructured import Json, at, mapping, maybe_number, name_of, objects, strings, text
from harness.objects.workloads import OWNING_GATEWAY, pod_containers, rollout_progress
from harness.preflight.checks.mesh import BY_INSTALL
from harness.preflight.facts import Facts
from harness.preflight.row import Row, judged, not_judged, unknown

NAMESPACE = namespace_in(DEFAULT_PLACES.envoy_gateway)  # where disruptive tests restart it
GATEWAY_NAMESPACE = "GatewayNamespace"
CLASSES = ("eg-ingress", "eg-waypoint")  # manifests/install/envoy_gateway.yaml, where the first is the ingress's
FLUSH, DEFAULT_FLUSH = "STATS_FLUSH_INTERVAL", 10.0  # of the rate limit service; its default in seconds
# Keys of an access line without which a request cannot be joined to it (harness/logs/envoy_access.py).
KEYS = frozenset({"start_time", "response_code", "response_flags", "user-agent"})
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_STEP = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def controller(facts: Facts) -> Iterable[Row]:
    """Envoy Gateway's namespace, version and replicas."""
    found = facts.controllers
    if not found and facts.installs:
        yield judged("Envoy Gateway", BY_INSTALL)
    elif not found:
        yield not_judged(
            "Envoy Gateway",
            "absent",
            "stack",
            reason="no Deployment has pods with the label control-plane=envoy-gateway",
            remedy="INSTALL=1 installs it",
        )
    for one in found:
        where, rollout = namespace_of(one), rollout_progress(one)
        described = f"{where}, version {envoy_gateway_version(facts.state) or 'unknown'}, {rollout.text}"
        if facts.disruptive and where != NAMESPACE:
            yield not_judged(
                "Envoy Gateway",
                described,
                "disruptive",
                reason=f"disruptive tests restart it in namespace {NAMESPACE} alone; all others judge it where it is",
                remedy="none: these tests need that namespace",
            )
        elif rollout.done:
            yield judged("Envoy Gateway", described)
        else:
            yield Row(
                "Envoy Gateway",
                described,
                "unknown",
                (),
                f"{name_of(one)} is not ready",
                "wait until it is, or mend it",
            )


def mode(facts: Facts) -> Iterable[Row]:
    """Where Envoy Gateway runs its proxies. Only in GatewayNamespace mode can one of them be a waypoint."""
    if not facts.controllers:
        return
    if facts.state.config is None:
        yield unknown(
            "Envoy Gateway's mode",
            facts.state.config_unread or "its configuration could not be read",
            "grant get of ConfigMap envoy-gateway-config in Envoy Gateway's namespace",
        )
        return
    mode_text = text(facts.state.config, "provider", "kubernetes", "deploy", "type") or "ControllerNamespace"
    if mode_text == GATEWAY_NAMESPACE:
        yield judged("Envoy Gateway's mode", mode_text)
    else:
        yield not_judged(
            "Envoy Gateway's mode",
            mode_text,
            "waypoint",
            "ingress",
            reason="it runs its proxies in its own namespace: their pods are not in the namespace of their Gateway, "
            "where Istio looks for a waypoint and this harness for a proxy",
            remedy="install Envoy Gateway with provider.kubernetes.deploy.type: GatewayNamespace",
        )


def _names(facts: Facts) -> list[str]:
    """The names of the classes in this run."""
    return [Placement(facts.namespace).text(f"GatewayClass/{name}").partition("/")[2] for name in CLASSES]


def classes(facts: Facts) -> Iterable[Row]:
    """The GatewayClasses that the suites' Gateways are of."""
    for name in _names(facts):
        found = facts.state.find("GatewayClass", "", name)
        if found is None:
            yield judged(f"GatewayClass {name}", "made by the run")
        elif not is_controller(facts.state, text(found, "spec", "controllerName")):
            yield not_judged(
                f"GatewayClass {name}",
                f"of {text(found, 'spec', 'controllerName')}",
                "ingress" if name.endswith(CLASSES[0]) else "waypoint",
                reason="the suites' Gateways are of this class",
                remedy="choose another NAMESPACE=: classes are named after it",
            )
        else:
            yield judged(f"GatewayClass {name}", _parameters(facts, found))


def replicas(facts: Facts) -> Iterable[Row]:
    """How many replicas of each proxy the suites' Gateways get, and those that others have."""
    for name in _names(facts):
        found = facts.state.find("GatewayClass", "", name)
        if found is not None:
            proxy = _proxy(facts, found)
            scaled = mapping(proxy, "spec", "provider", "kubernetes", "envoyHpa")
            least = maybe_number(scaled, "minReplicas") or 1
            count = (
                f"{least} to {maybe_number(scaled, 'maxReplicas')} (HorizontalPodAutoscaler)"
                if scaled
                else f"{_replicas(proxy)}"
            )
            yield judged(
                f"replicas of {name}",
                count,
                "a replica that is added or removed in the middle of a test makes that test inconclusive"
                if scaled
                else "",
            )
    others = [d for d in facts.state.all_objects("Deployment") if OWNING_GATEWAY in mapping(d, "metadata", "labels")]
    if others:
        pods = sum(maybe_number(one, "spec", "replicas") or 1 for one in others)
        yield judged("proxies that run", f"{len(others)} Gateways, {pods} replicas")


def access_log(facts: Facts) -> Iterable[Row]:
    """Whether the proxies write access lines that can be joined to requests: JSON on their standard output."""
    for name in _names(facts):
        found = facts.state.find("GatewayClass", "", name)
        if found is None:
            continue
        proxy, subject = _proxy(facts, found), f"access log of {name}"
        why = _unreadable(proxy)
        flush = next(
            (
                after
                for before, after in zip(
                    strings(proxy, "spec", "extraArgs"), strings(proxy, "spec", "extraArgs")[1:], strict=False
                )
                if before == "--file-flush-interval-msec"
            ),
            "10000",
        )
        flush_text = f"flushed every {int(flush) / 1000:g} s" if flush.isdigit() else f"flush interval {flush}"
        if why:
            yield not_judged(
                subject,
                why,
                "access log",
                reason="requests are joined to JSON access lines on the proxy's standard output",
                remedy=f"leave spec.telemetry.accessLog of {name_of(proxy)} out, or add a JSON sink /dev/stdout with "
                f"{', '.join(sorted(KEYS))}",
            )
        elif flush.isdigit() and int(flush) / 1000 > timeouts.LOG_LINE / 2:
            yield not_judged(
                subject,
                flush_text,
                "access log",
                reason=f"a line is awaited for {timeouts.LOG_LINE:g} s",
                remedy=f'set extraArgs [--file-flush-interval-msec, "200"] in {name_of(proxy)}',
            )
        else:
            yield judged(subject, f"JSON on standard output, {flush_text}")


def limiter(facts: Facts) -> Iterable[Row]:
    """The rate limit service: its replicas and its store."""
    if not facts.controllers:
        return
    found = facts.limiters
    if not found:
        yield not_judged(
            "rate limit service",
            "absent",
            "rate limit",
            reason="Envoy Gateway runs none: it has no rateLimit.backend in its configuration",
            remedy="configure rateLimit.backend of Envoy Gateway with a Redis",
        )
        return
    store = mapping(facts.state.config, "rateLimit", "backend")
    url = text(store, "redis", "url")
    for one in found:
        rollout = rollout_progress(one)
        described = f"{namespace_of(one)}, {rollout.text}, {text(store, 'type') or 'store unknown'} {url}".strip()
        if rollout.done:
            yield judged("rate limit service", described)
        else:
            yield not_judged(
                "rate limit service",
                described,
                "rate limit",
                reason=f"{name_of(one)} is not ready, and limits fail open",
                remedy="look at its pods and at Redis",
            )


def limiter_counters(facts: Facts) -> Iterable[Row]:
    """How often the rate limit service publishes its counters: they are awaited until they stand still."""
    for one in facts.limiters:
        flush_step = next(
            (
                text(variable, "value")
                for container in pod_containers(one)
                for variable in objects(container, "env")
                if text(variable, "name") == FLUSH
            ),
            "",
        )
        seconds = (
            sum(float(n) * _SECONDS[unit] for n, unit in _STEP.findall(flush_step)) if flush_step else DEFAULT_FLUSH
        )
        if seconds < timeouts.LIMITER_SETTLED:
            yield judged("rate limit counters", f"published every {seconds:g} s")
        else:
            yield not_judged(
                "rate limit counters",
                f"published every {seconds:g} s",
                "limiter counters",
                reason=f"they are taken for final once they stand still for {timeouts.LIMITER_SETTLED:g} s",
                remedy=f"set {FLUSH}=1s in provider.kubernetes.rateLimitDeployment.container.env of Envoy Gateway",
            )


def _proxy(facts: Facts, gateway_class: Json) -> Json | None:
    """The EnvoyProxy of a class."""
    of_class = {"spec": {"gatewayClassName": text(gateway_class, "metadata", "name")}}
    return next(iter(envoy_proxies(facts.state, of_class)), None)


def _parameters(facts: Facts, gateway_class: Json) -> str:
    proxy = _proxy(facts, gateway_class)
    return f"parameters {name_of(proxy)}" if proxy else "no parameters"


def _replicas(proxy: Json | None) -> int:
    for kind in ("envoyDeployment", "envoyDaemonSet"):
        if (found := maybe_number(proxy, "spec", "provider", "kubernetes", kind, "replicas")) is not None:
            return found
    return 1


def _unreadable(proxy: Json | None) -> str:
    """Why access lines of this EnvoyProxy cannot be joined to requests; "" when they can."""
    log = mapping(proxy, "spec", "telemetry", "accessLog")
    if at(log, "disable") is True:
        return "disabled"
    settings = list(objects(log, "settings"))
    if not settings:
        return ""
    for one in settings:
        to_stdout = not list(objects(one, "sinks")) or any(
            text(sink, "file", "path") in ("/dev/stdout", "") and text(sink, "type") in ("File", "")
            for sink in objects(one, "sinks")
        )
        form = mapping(one, "format")
        keys = set(mapping(form, "json"))
        if (
            to_stdout
            and not list(strings(one, "matches"))
            and (not form or (form.get("type") == "JSON" and keys >= KEYS))
        ):
            return ""
    first = settings[0]
    sinks = [text(one, "type") for one in objects(first, "sinks")]
    return f"format {text(first, 'format', 'type') or 'JSON'}, sinks {', '.join(sinks) or 'standard output'}"
