"""Unreleased builds (charts, images) in place of those of a version set. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field


class Builds(BaseModel):
    """What a run was given; empty fields: as released.

    `charts` are paths of charts by name. `digests` are the digests of the built images that Docker holds, by role: they
    are loaded into the nodes, all others are pulled.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    eg_chart: str = ""
    eg_image: str = ""
    istio_hub: str = ""
    istio_tag: str = ""
    istio_charts: str = ""
    envoy_image: str = ""
    charts: Mapping[str, str] = Field(default_factory=dict)
    digests: Mapping[str, str] = Field(default_factory=dict)

    @property
    def roles(self) -> tuple[str, ...]:
        """The images that are such builds, by role."""
        istio = ("pilot", "install-cni", "ztunnel") if self.istio_hub or self.istio_tag else ()
        gateway = ("gateway",) if self.eg_image else ()
        return (*istio, *gateway, *(("envoy",) if self.envoy_image else ()))
