"""All exceptions of the harness, each with one clear message and, if there is one, a remedy."""


class HarnessError(Exception):
    """Base of all. `exit_code` is what the command line ends with; `remedy` says what to do, or is empty. `causes` are
    sentences that say why, the most specific first, where the evidence names any."""

    exit_code = 1
    observed = False  # whether raising it is an observation: the other side answered, and its answer was no
    causes: tuple[str, ...] = ()

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def __str__(self) -> str:
        first, line_break, rest = super().__str__().partition("\n")
        lines = [first, *(f"  cause: {cause}" for cause in self.causes)]
        lines += [rest] if line_break else []
        lines += [f"  remedy: {self.remedy}"] if self.remedy else []
        return "\n".join(lines)


class BadInput(HarnessError):
    """What was asked for cannot be done as asked. Raised before anything is made."""

    exit_code = 2


class SetupFailed(HarnessError):
    """The cluster or the stack is broken: an ERROR in setup, never a FAILED claim."""


class NotReady(SetupFailed):
    """A bounded wait ran out."""

    def __init__(self, what: str, *, within: float, tries: int, last_seen: str, remedy: str = "") -> None:
        self.what, self.within, self.tries, self.last_seen = what, within, tries, last_seen
        super().__init__(f"{what}: not within {within:g}s ({tries} tries); last seen: {last_seen}", remedy=remedy)


class Terminal(SetupFailed):
    """A wait ended early: what was seen does not heal by waiting."""

    def __init__(self, what: str, *, after: float, seen: str, remedy: str = "") -> None:
        self.what, self.after, self.seen = what, after, seen
        super().__init__(f"{what}: cannot become true (seen after {after:.1f}s): {seen}", remedy=remedy)


class CommandFailed(SetupFailed):
    """A program ended with a status other than 0. Its last lines are in the message."""

    def __init__(self, argv: list[str], code: int | None, output: str) -> None:
        self.argv, self.code, self.output = argv, code, output
        ended = "was stopped at its time limit" if code is None else f"ended with status {code}"
        super().__init__(f"`{' '.join(argv[:6])}{' …' if len(argv) > 6 else ''}` {ended}: {_tail(output)}")


class CannotJudge(HarnessError):
    """The cluster lacks what a test rests on. Nothing was done; the test is skipped with this reason."""


class NotAllowed(CannotJudge):
    """What was about to be done would change what is not ours, on a cluster where that was not asked for. Raised before
    anything is touched; the test is skipped with this reason."""


class Inconclusive(HarnessError):
    """A claim could not be judged: a witness is missing or ambiguous. Never a pass."""


class Absent(Inconclusive):
    """The component that was asked has no such object (Envoy has no such cluster). By itself this judges nothing; for a
    wait it is an observation."""

    observed = True


class NotRecorded(HarnessError):
    """A run is judged again, and its folder has no record of this: the claim is inconclusive. It is not an
    Inconclusive, which waits may take for an answer. `never`: such things are not recorded at all."""

    def __init__(self, what: str, *, never: bool = False) -> None:
        self.never = never
        super().__init__(f"{NEVER_RECORDED if never else NO_RECORD} {what}")


NO_RECORD, NEVER_RECORDED = "the run has no record of:", "not recorded:"


class NotObserved(NotReady, Inconclusive):
    """A bounded wait ran out while nothing could be read: whether what was awaited is so is not known.

    In a test the claim is inconclusive; in set-up it is an error, like every other wait that runs out."""


def _tail(output: str, lines: int = 8) -> str:
    kept = [line for line in output.strip().splitlines() if line.strip()][-lines:]
    return "\n    ".join(kept) if kept else "(no output)"
