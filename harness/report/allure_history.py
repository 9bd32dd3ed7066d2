"""Files of `allure-results/history`, which an Allure report shows beside a run: earlier results of each test, and
totals of earlier runs (https://allurereport.org/docs/how-it-works-history-files). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TESTS, TOTALS, DURATIONS = "history.json", "history-trend.json", "duration-trend.json"
LIMIT = 20  # results of a test, and runs: as many as Allure keeps itself
STATUSES = ("failed", "broken", "skipped", "passed", "unknown")


def add_run(history: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The contents of the files after a run: by file name, newest first.

    `history` is what the files held before it (empty for none), `results` the run's `*-result.json`. Results without a
    `historyId` or an end are left out: they are of a test that was cut off.
    """
    ended = [one for one in results if one.get("historyId") and one.get("stop")]
    if not ended:
        return dict(history)
    tests = dict(history.get(TESTS) or {})
    for one in sorted(ended, key=lambda result: int(result["stop"])):
        items = [_item(one), *(tests.get(one["historyId"]) or {}).get("items", [])][:LIMIT]
        tests[one["historyId"]] = {"statistic": _statistic(item["status"] for item in items), "items": items}
    start, stop = min(int(one["start"]) for one in ended), max(int(one["stop"]) for one in ended)
    return {
        TESTS: tests,
        TOTALS: _newest({"data": _statistic(map(_status, ended))}, history.get(TOTALS) or []),
        DURATIONS: _newest({"data": {"duration": stop - start}}, history.get(DURATIONS) or []),
    }


def _newest(run: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The runs with one more; Allure sorts them by `buildOrder`."""
    number = max((int(one.get("buildOrder") or 0) for one in before), default=0) + 1
    return [{"buildOrder": number, **run}, *before][:LIMIT]


def _item(result: Mapping[str, Any]) -> dict[str, Any]:
    start, stop = int(result["start"]), int(result["stop"])
    message = (result.get("statusDetails") or {}).get("message")
    item = {
        "uid": result["uuid"],
        "status": _status(result),
        "time": {"start": start, "stop": stop, "duration": stop - start},
    }
    return item | ({"statusDetails": message} if message else {})


def _status(result: Mapping[str, Any]) -> str:
    status = str(result.get("status"))
    return status if status in STATUSES else "unknown"


def _statistic(statuses: Iterable[str]) -> dict[str, int]:
    counted = Counter(statuses)
    return {status: counted[status] for status in STATUSES} | {"total": counted.total()}
