"""How a failure reads."""

from __future__ import annotations

from dataclasses import replace

from harness.observations import Figure, Sighting
from harness.report.failure_text import SHOWN, FailureReport, rerun_command, text

KNOWN = FailureReport(
    id="suites/ingress/test_limit.py::test_quota",
    claim="A fresh caller is served exactly 3 times.",
    found="assert [200] == [429]\n  \n  At index 0 diff: 200 != 429\n  Use -v to get more diff",
    where="suites/ingress/test_limit.py:12",
    asked=["CLUSTER=kind"],
    versions="cluster kind   istio 1.29.1",
    evidence="runs/x/artifacts/ingress/test_quota/",
    sightings=[Sighting("client", "200", 1.25), Sighting("access log", "-  via_upstream\nsecond", 61.5)],
    figures=[Figure("Accepted to enforced", 15.0, "policy")],
)


def test_it_reads_top_down():
    """Claim, found, where; witnesses, times, versions, evidence, again."""
    assert text(KNOWN).splitlines() == [
        "  A fresh caller is served exactly 3 times.",
        "  assert [200] == [429]",
        "    At index 0 diff: 200 != 429",
        "  at suites/ingress/test_limit.py:12",
        "---- witnesses ----",
        "  00:00:01.250  client      200",
        "  00:01:01.500  access log  -  via_upstream second".replace("-  via", "- via"),
        "---- times ----",
        "  Accepted to enforced: 15.00s (policy)",
        "---- versions ----",
        "  cluster kind   istio 1.29.1",
        "---- evidence ----",
        "  runs/x/artifacts/ingress/test_quota/",
        "---- again ----",
        "  make e2e T=suites/ingress/test_limit.py::test_quota CLUSTER=kind KEEP=always",
    ]


def test_causes_come_right_after_the_claim():
    """Also those that the error itself quotes, and each once."""
    quoted = replace(
        KNOWN, found="Gateway is Programmed: not within 240s\n  cause: no class\n  remedy: do", causes=("no class",)
    )

    assert text(replace(KNOWN, causes=("one", "two"))).splitlines()[1:4] == [
        "  cause: one",
        "  cause: two",
        "  assert [200] == [429]",
    ]
    assert text(quoted).splitlines()[1:4] == [
        "  cause: no class",
        "  Gateway is Programmed: not within 240s",
        "    remedy: do",
    ]


def test_many_sightings_are_cut_to_the_last():
    """The rest is in a file, and the text says which."""
    many = [Sighting("client", f"answer {n}", n) for n in range(SHOWN + 160)]
    lines = text(FailureReport("a", "b", "c", "d", ["CLUSTER=kind"], "v", "e", sightings=many)).splitlines()

    assert "  … 160 earlier ones are in witnesses.txt" in lines
    assert any("answer 199" in line for line in lines)
    assert not any(line.endswith("answer 159") for line in lines)


def test_the_command_survives_a_shell():
    """Brackets and spaces of a parametrized test are quoted."""
    asked = ["CLUSTER=emulated"]

    assert (
        rerun_command("s/t.py::test_a[x y]", asked) == "make e2e T='s/t.py::test_a[x y]' CLUSTER=emulated KEEP=always"
    )
