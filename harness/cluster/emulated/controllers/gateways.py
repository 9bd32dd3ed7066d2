"""Statuses that Envoy Gateway writes on GatewayClasses and Gateways. Pure.

Words recorded on a real cluster of Envoy Gateway 1.7, negative ones included, for every version set: 1.9
words a Gateway's Accepted otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.cluster.emulated.api.kinds import ENVOY_GATEWAY, GATEWAY, Object
from harness.cluster.emulated.controllers.conditions import condition

CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
_PROTOCOLS = {"HTTP": ("HTTPRoute", "GRPCRoute"), "TCP": ("TCPRoute",)}

Find = Callable[[str, str, str], Object | None]  # storage, namespace, name


@dataclass(frozen=True, slots=True)
class Proxies:
    """How the Gateway's proxy Deployment and Service are: addresses, and ready of wanted replicas."""

    addresses: tuple[str, ...] = ()
    available: int = 0
    replicas: int = 1


def class_conditions(gateway_class: Object, find: Find) -> list[Object]:
    """Accepted of a GatewayClass of Envoy Gateway."""
    name, generation = gateway_class["metadata"]["name"], gateway_class["metadata"]["generation"]
    wrong = _parameters(gateway_class["spec"].get("parametersRef"), f"GatewayClass {name}", find)
    if wrong:
        message = f"Invalid parametersRef: {wrong}"
        return [condition("Accepted", False, "InvalidParameters", message, generation=generation)]
    return [condition("Accepted", True, "Accepted", "Valid GatewayClass", generation=generation)]


def _parameters(reference: Object | None, whose: str, find: Find) -> str:
    """What is wrong with a parametersRef, or an empty string."""
    if reference is None:
        return ""
    if (reference["group"], reference["kind"]) != (ENVOY_GATEWAY, "EnvoyProxy"):
        return f"unsupported parametersRef(invalid group or kind) for {whose[0].lower()}{whose[1:]}"
    namespace, name = reference.get("namespace", ""), reference["name"]
    if find(f"envoyproxies.{ENVOY_GATEWAY}", namespace, name) is None:
        return (
            f'failed to find envoyproxy {namespace}/{name} for {whose}: EnvoyProxy.{ENVOY_GATEWAY} "{name}" not found'
        )
    return ""


def gateway_conditions(gateway: Object, proxies: Proxies, find: Find) -> list[Object]:
    """Accepted and Programmed of a Gateway."""
    generation = gateway["metadata"]["generation"]
    reference = gateway["spec"].get("infrastructure", {}).get("parametersRef")
    if reference is not None:
        reference = reference | {"namespace": gateway["metadata"]["namespace"]}
        wrong = _parameters(reference, f"Gateway {gateway['metadata']['name']}", find)
        if wrong:
            message = f"Invalid parametersRef:: {wrong}"
            return [condition("Accepted", False, "InvalidParameters", message, generation=generation)]
    scheduled = "The Gateway has been scheduled by Envoy Gateway"
    if not proxies.addresses:
        programmed = (False, "AddressNotAssigned", "No addresses have been assigned to the Gateway")
    elif not proxies.available:
        programmed = (False, "NoResources", "Envoy replicas unavailable")
    else:
        assigned = f"Address assigned to the Gateway, {proxies.available}/{proxies.replicas} envoy replicas available"
        programmed = (True, "Programmed", assigned)
    return [
        condition("Accepted", True, "Accepted", scheduled, generation=generation),
        condition("Programmed", *programmed, generation=generation),
    ]


def listener_status(gateway: Object, listener: Object, attached: int) -> Object:
    """The status of one listener, its conditions without their times."""
    generation, protocol = gateway["metadata"]["generation"], listener["protocol"]
    written = (
        ("Programmed", "Programmed", "Sending translated listener configuration to the data plane"),
        ("Accepted", "Accepted", "Listener has been successfully translated"),
        ("ResolvedRefs", "ResolvedRefs", "Listener references have been resolved"),
    )
    return {
        "name": listener["name"],
        "attachedRoutes": attached,
        "supportedKinds": [{"group": GATEWAY, "kind": kind} for kind in _PROTOCOLS[protocol]],
        "conditions": [condition(type_, True, *words, generation=generation) for type_, *words in written],
    }
