"""The fixtures of the fakes; Ctrl-C and Ctrl-\\ work in the tests, also in a process started in the background."""

import gc
import os
import signal
import sys

import hypothesis

from tests.fakes.fixtures import (  # noqa: F401  # fixtures are found by name
    api,
    clock,
    cluster,
    free_port,
    kube,
    manifests,
    notes,
    other_process,
    own_world,
    programs,
    settings,
)

# Compiled modules are kept, whatever the environment says: tests start many Pythons, and each would compile them again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Few examples where a person waits; `make test ARGS=--hypothesis-profile=nightly` tries many. None has a deadline, and
# slow generation is the machine's.
UNHURRIED = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("few", UNHURRIED, max_examples=25)
hypothesis.settings.register_profile("nightly", UNHURRIED, max_examples=1000)
hypothesis.settings.load_profile("few")


for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


def pytest_collection_finish() -> None:
    """What was imported and collected stays: the garbage collector need not look at it again after each test."""
    gc.freeze()
