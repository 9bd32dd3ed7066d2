"""Replaces a product's CRDs by those of another version, and puts the older ones back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from harness import observations, timeouts
from harness.cluster.protocol import Cluster
from harness.disruption.others_objects_guard import check_allowed, touches
from harness.disruption.requested_upgrade import VersionUpgrade
from harness.errors import SetupFailed
from harness.kube import ApiUnavailable, Kube, RequestRejected
from harness.objects.crds_and_admission_policies import gateway_api_version
from harness.objects.manifests import Document
from harness.objects.unstructured import text
from harness.record_replay import recorded
from harness.version_sets import VersionSet
from harness.wait import until
from harness.waits import rollouts

DEFINITIONS = {"istio": "base", "eg": "gateway-helm"}  # the chart that brings a product's definitions
GROUPS = {"istio": "istio.io", "eg": "gateway.networking.k8s.io"}  # what their names end in
DEFINITIONS_OF = "the definitions of the Gateway API and Istio"
SAFE_UPGRADES = "safe-upgrades.gateway.networking.k8s.io"
STORED = "status.storedVersions"  # objects may be stored in a version that the definition lacks


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of definitions that were applied over others: `versions` are those of the definitions that are there
    now, `rejected` the API server's reason by definition."""

    versions: frozenset[str]
    rejected: Mapping[str, str] = field(default_factory=dict)

    @property
    def rejected_by(self) -> set[str]:
        """Who rejected some: SAFE_UPGRADES, STORED, or the whole reason where it names neither."""
        return {
            next((one for one in (SAFE_UPGRADES, STORED) if one in reason), reason) for reason in self.rejected.values()
        }


# Recorded as a whole: definitions are too large to be recorded with every answer that has them.
@recorded(
    "definitions replaced",
    pack=lambda found: {"versions": sorted(found.versions), "rejected": dict(found.rejected)},
    unpack=lambda found: Replaced(frozenset(found["versions"]), found["rejected"]),
)
def _recorded(how: str, act: Callable[[], Replaced]) -> Replaced:  # noqa: ARG001  # it names the call
    return act()


def _replaced(how: str, act: Callable[[], Replaced]) -> Replaced:
    found = _recorded(how, act)
    observations.record_sighting("Kubernetes API", f"definitions of {', '.join(sorted(found.versions))}")
    return found


@recorded("definitions", pack=sorted, unpack=frozenset)
def _versions(product: str, read: Callable[[], frozenset[str]]) -> frozenset[str]:  # noqa: ARG001  # likewise
    return read()


@touches(DEFINITIONS_OF)
def replace_definitions(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade, row: VersionSet) -> Replaced:
    """Applies the product's definitions of `row`, and reads what is there then: of Istio the chart `base`, of Envoy
    Gateway the definitions that its chart brings, one by one. A definition that the API server rejects does not end it.
    Those of the version before are only the Gateway API's: an older version reads its own in their newer form.

    Raises:
        CommandFailed: Helm failed.
        NotAllowed: this cluster's definitions are not to be touched.
    """
    check_allowed(cluster, DEFINITIONS_OF)

    def replace() -> Replaced:
        if upgrade.product == "istio":
            cluster.install(upgrade.charts(row)[DEFINITIONS["istio"]])
            return Replaced(read_definitions(kube, upgrade))
        documents = cluster.definitions(upgrade.charts(row)[DEFINITIONS["eg"]])
        rejected = _apply_one_by_one(kube, documents if row is upgrade.after else _of(upgrade, documents))
        return Replaced(read_definitions(kube, upgrade), rejected)

    return _replaced(f"by those of {upgrade.version(row)}", replace)


def read_definitions(kube: Kube, upgrade: VersionUpgrade) -> frozenset[str]:
    """The versions of the product's definitions that are there: "v1.6.1 experimental" of the Gateway API, "1.30.3" of
    Istio; one if all are of one."""

    def read() -> frozenset[str]:
        there = _of(upgrade, kube.list_objects("CustomResourceDefinition"))
        if upgrade.product == "istio":
            return frozenset(text(one, "metadata", "labels", "app.kubernetes.io/version") for one in there)
        return frozenset(filter(None, map(gateway_api_version, there)))

    return _versions(upgrade.product, read)


@touches(DEFINITIONS_OF)
def force_older_definitions(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade) -> Replaced:
    """Deletes the safe-upgrades admission policy, as its message says, and applies the definitions of the version
    before. What is rejected all the same (`rejected`) is then deleted and made anew, and what the version before
    lacks is deleted: the cluster is as it was.

    Raises:
        NotAllowed: this cluster's definitions are not to be touched.
        SetupFailed: an object of such a definition is there: it would be lost.
    """
    check_allowed(cluster, DEFINITIONS_OF)
    if upgrade.product == "istio":
        return replace_definitions(cluster, kube, upgrade, upgrade.before)
    return _replaced("by older ones, by force", lambda: _force_older(cluster, kube, upgrade))


def _force_older(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade) -> Replaced:
    documents = _of(upgrade, cluster.definitions(upgrade.charts(upgrade.before)[DEFINITIONS["eg"]]))
    kube.delete([f"ValidatingAdmissionPolicyBinding/{SAFE_UPGRADES}", f"ValidatingAdmissionPolicy/{SAFE_UPGRADES}"])
    rejected = until(
        lambda: _apply_one_by_one(kube, documents),
        lambda found: not any(SAFE_UPGRADES in reason for reason in found.values()),
        what=f"the API server no longer asks {SAFE_UPGRADES}",
        within=timeouts.STATUS,
        every=1.0,
        transient=(ApiUnavailable,),
        show=lambda found: f"{len(found)} definitions rejected",
    )
    brought = {str(one["metadata"]["name"]) for one in documents}
    for definition in _of(upgrade, kube.list_objects("CustomResourceDefinition")):
        if (name := str(definition["metadata"]["name"])) in brought - rejected.keys():
            continue
        kind = text(definition, "spec", "names", "kind")
        if kube.list_objects(kind):
            raise SetupFailed(f"a {kind} exists: it would be deleted with its CRD", remedy="delete it first")
        kube.delete([f"CustomResourceDefinition/{name}"])
    _apply_one_by_one(kube, [one for one in documents if str(one["metadata"]["name"]) in rejected])
    return Replaced(read_definitions(kube, upgrade), rejected)


def _apply_one_by_one(kube: Kube, documents: Iterable[Document]) -> dict[str, str]:
    """Applies definitions, admission policies last: they would judge the definitions that come with them. Returns the
    API server's reasons for what it rejected, by name."""
    rejected: dict[str, str] = {}
    for document in sorted(documents, key=lambda one: one["kind"] != "CustomResourceDefinition"):
        name = str(document["metadata"]["name"])
        try:
            kube.apply([document], force=True)
        except RequestRejected as error:
            rejected[name] = str(error)
            continue
        if document["kind"] == "CustomResourceDefinition":
            rollouts.wait_for_definition(kube, name)
    return rejected


def _of(upgrade: VersionUpgrade, documents: Iterable[Document]) -> list[Document]:
    """Those of the product's group, as a name ends in it: of Envoy Gateway the Gateway API's."""
    return [one for one in documents if str(one["metadata"]["name"]).endswith(GROUPS[upgrade.product])]
