"""What Envoy Gateway says of GatewayClasses and Gateways. Pure.

Words recorded on a real cluster of Envoy Gateway 1.7, negative ones included, for every version set: 1.9
words a Gateway's Accepted and its listeners' conflicts otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.cluster.emulated.api.kinds import ENVOY_GATEWAY, GATEWAY, Object
from harness.cluster.emulated.controllers.conditions import condition

CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
_PROTOCOLS = {"HTTP": ("HTTPRoute", "GRPCRoute"), "TCP": ("TCPRoute",)}
_KNOWN = ("HTTP", "HTTPS", "TCP", "UDP")  # HTTPS and UDP are refused at the API: they are not emulated

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


def conflicts(listeners: Sequence[Object]) -> dict[str, tuple[str, str]]:
    """Listeners that cannot be together, by name, with the reason and message of Conflicted."""
    found: dict[str, tuple[str, str]] = {}
    for one in listeners:
        for other in listeners:
            if one is other or one["port"] != other["port"]:
                continue
            if one["protocol"] != other["protocol"]:
                message = "All listeners for a given port must use a compatible protocol"
                found[one["name"]] = ("ProtocolConflict", message)
            elif one.get("hostname", "") == other.get("hostname", ""):
                message = "All listeners for a given port must use a unique hostname"
                found.setdefault(one["name"], ("HostnameConflict", message))
    return found


def valid_listeners(gateway: Object) -> list[Object]:
    """The listeners that Envoy Gateway translates."""
    listeners = gateway["spec"]["listeners"]
    clashing = conflicts(listeners)
    return [one for one in listeners if one["protocol"] in _PROTOCOLS and one["name"] not in clashing]


def listener_status(gateway: Object, listener: Object, attached: int) -> Object:
    """The status of one listener, its conditions without their times."""
    generation, protocol = gateway["metadata"]["generation"], listener["protocol"]
    resolved = condition(
        "ResolvedRefs", True, "ResolvedRefs", "Listener references have been resolved", generation=generation
    )
    invalid = condition(
        "Programmed",
        False,
        "Invalid",
        "Listener is invalid, see other Conditions for details.",
        generation=generation,
    )
    clash = conflicts(gateway["spec"]["listeners"]).get(listener["name"])
    if protocol not in _KNOWN:
        message = f"Protocol {protocol} is unsupported, must be HTTP, HTTPS, TCP or UDP."
        refused = condition("Accepted", False, "UnsupportedProtocol", message, generation=generation)
        conditions = [refused, invalid, resolved]
    elif clash:
        conditions = [condition("Conflicted", True, *clash, generation=generation), invalid, resolved]
    else:
        sending = "Sending translated listener configuration to the data plane"
        translated = "Listener has been successfully translated"
        conditions = [
            condition("Programmed", True, "Programmed", sending, generation=generation),
            condition("Accepted", True, "Accepted", translated, generation=generation),
            resolved,
        ]
    kinds = [{"group": GATEWAY, "kind": kind} for kind in _PROTOCOLS.get(protocol, ())]
    return {
        "name": listener["name"],
        "attachedRoutes": attached,
        "supportedKinds": kinds,
        "conditions": conditions,
    }
