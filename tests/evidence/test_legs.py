"""Finding a connection's line by its source port, and without it where the kernel changed it."""

from pathlib import Path

from harness.evidence.joins import find_connection_lines
from harness.logs import envoy_access, ztunnel

RECORDED = Path(__file__).parents[1] / "recordings" / "source-port-remapped"
LINES = ztunnel.parse_ztunnel_log((RECORDED / "ztunnel.log").read_text()).lines
(REQUEST,) = envoy_access.parse_access_log((RECORDED / "access.log").read_text()).lines
WAYPOINT = "10.244.1.32"
ASKED = "10.244.1.10:42058"  # what curl said its port was; a burst 84 s before had used it too


def test_remapped_port_is_found_by_address_and_time():
    """The one connection to that waypoint around the request is it, though ztunnel logs another port."""
    (leg,) = find_connection_lines(LINES, source=ASKED, around=REQUEST, reaches=WAYPOINT)

    assert leg.src.addr == "10.244.1.10:23099"


def test_same_port_of_an_earlier_connection_is_not_taken():
    """A line with the very port, of a connection that was over before, is not this request's."""
    (earlier,) = [line for line in LINES if line.src.addr == ASKED]

    assert earlier.time < REQUEST.start_time
    assert earlier not in find_connection_lines(LINES, source=ASKED, around=REQUEST, reaches=WAYPOINT)


def test_exact_port_wins_over_others_around():
    """Where the port is logged, another connection of the same time and place is no rival."""
    (leg,) = find_connection_lines(LINES, source="10.244.1.10:23099", around=REQUEST, reaches=WAYPOINT)
    rival = ztunnel.parse_ztunnel_log(leg.raw.replace(":23099", ":23100")).lines

    assert find_connection_lines((*rival, leg), source="10.244.1.10:23099", around=REQUEST, reaches=WAYPOINT) == (leg,)
    assert len(find_connection_lines((*rival, leg), source=ASKED, around=REQUEST, reaches=WAYPOINT)) == 2


def test_nothing_fits_another_destination():
    """Source and time alone are not enough."""
    assert find_connection_lines(LINES, source=ASKED, around=REQUEST, reaches="10.244.1.99") == ()
    assert find_connection_lines((), source=ASKED, around=REQUEST, reaches=WAYPOINT) == ()
