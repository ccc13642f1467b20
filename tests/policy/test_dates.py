"""Moments, hours and spans of time: the forms that are read, time zones, and clocks that are put back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from mcpgate.apps import App, Grant, open_account
from mcpgate.errors import SpecError
from mcpgate.policy.templates.template import EXAMPLE_NOW
from mcpgate.toolset import build_toolset
from tests.policy.shop import EVERYTHING, connector, judge, policy, reason

NOW = int(EXAMPLE_NOW)

DIARY = """
connector: diary
base_url: https://diary.example
tools:
  diary_book:
    description: Book.
    category: write
    request: POST /events
    params:
      due:
        type: [string, integer, number, boolean, object, array]
        additionalProperties: true
        items: { type: [string, integer] }
      until: { type: [string, integer] }
      begin:
        properties: { at: { type: string }, day: { type: string } }
      finish:
        properties: { at: { type: string }, day: { type: string } }
      slots:
        type: array
        items: { properties: { from: { type: string }, to: { type: string } } }
    roles: { start: [begin.at, begin.day], end: [finish.at, finish.day] }
    effects: []
"""


def diary(guardrail: str) -> App:
    rules = (policy(f"guardrails:\n  - {{ for: diary_book, {guardrail} }}\n"),)
    return App("test", (Grant(open_account(connector(DIARY), {}), policy(EVERYTHING)),), rules=rules)


def verdict(guardrail: str, arguments: dict[str, Any], now: float | None = EXAMPLE_NOW) -> str:
    decision = judge(diary(guardrail), "diary_book", arguments, now=now)
    if decision.reason is None:
        return "allowed"
    assert "the rule failed" not in decision.reason.says
    return "undecidable" if "cannot be decided" in decision.reason.says else "denied"


# --- deny_past_dates -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tz", "due", "expected"),
    [
        # now is Monday, 23 November 2026, 10:00 UTC
        ("UTC", NOW, "allowed"),
        ("UTC", NOW - 1, "denied"),
        ("UTC", 0, "denied"),
        ("UTC", -1, "denied"),
        ("UTC", NOW * 1000, "undecidable"),
        ("UTC", 10**10, "undecidable"),
        ("UTC", -(10**12), "undecidable"),
        ("UTC", float(NOW) + 0.5, "undecidable"),
        ("UTC", True, "undecidable"),
        ("UTC", str(NOW), "undecidable"),
        ("UTC", "2026-11-23T10:00:00Z", "allowed"),
        ("UTC", "2026-11-23t10:00:00z", "allowed"),
        ("UTC", "2026-11-23T09:59:59.999999Z", "denied"),
        ("UTC", "2026-11-23T11:00:00+01:00", "allowed"),
        ("UTC", "2026-11-23T10:59:59+01:00", "denied"),
        ("UTC", "2026-11-23T05:00:00-05:00", "allowed"),
        ("UTC", "2026-11-23T10:00:00", "allowed"),
        ("UTC", "2026-11-23T09:59:59", "denied"),
        ("Europe/Berlin", "2026-11-23T11:00:00", "allowed"),
        ("Europe/Berlin", "2026-11-23T10:59:59", "denied"),
        ("Europe/Berlin", "2026-11-23T10:00:00Z", "allowed"),
        ("UTC", "2026-11-23", "allowed"),
        ("UTC", "2026-11-22", "denied"),
        ("Pacific/Kiritimati", "2026-11-23", "denied"),  # there it is the 24th
        ("Pacific/Niue", "2026-11-22", "allowed"),  # and there still the 22nd
        ("UTC", "9999-12-31T23:59:59-23:59", "allowed"),
        ("UTC", "0001-01-01T00:00:00+23:59", "denied"),
        # what Python's own reader takes besides
        *(
            ("UTC", text, "undecidable")
            for text in (
                "20301123",
                "20301123T100000Z",
                "2030-W48-1",
                "2030-11-23 10:00:00Z",
                "2030-11-23T10:00Z",
                "2030-11-23T10Z",
                "2030-11-23T10:00:00,5Z",
                "2030-11-23T10:00:00+0100",
                "2030-11-23T10:00:00+01:00:30",
                "2030-11-23T24:00:00Z",
                "2030-11-23T10:00:60Z",
                "2030-02-30",
                "2030-13-01T00:00:00Z",
                "２０30-11-23",
                "2030-11-23\n",
                " 2030-11-23",
                "2030-11-23T10:00:00 Z",
                "2030-11-23[UTC]",
                "tomorrow",
                "1e10",
                "",
            )
        ),
        ("UTC", {"at": "2030-11-23"}, "undecidable"),
        ("UTC", ["2030-11-23", NOW], "allowed"),
        ("UTC", ["2030-11-23", NOW - 1], "denied"),
    ],
)
def test_a_moment_is_past_or_not_or_cannot_be_read(tz: str, due: Any, expected: str) -> None:
    assert verdict(f"deny_past_dates: {{ field: due, tz: {tz} }}", {"due": due}) == expected


@pytest.mark.parametrize(("due", "expected"), [("01:30:00", "denied"), ("02:30:00", "allowed")])
def test_of_two_moments_that_a_clock_shows_the_first_counts(due: str, expected: str) -> None:
    """New York, 1 November 2026: 01:59 EDT is followed by 01:00 EST. It is the second 01:15."""
    now = datetime.fromisoformat("2026-11-01T01:15:00-05:00").timestamp()
    guardrail = "deny_past_dates: { field: due, tz: America/New_York }"
    assert verdict(guardrail, {"due": f"2026-11-01T{due}"}, now=now) == expected


def test_a_limit_on_dates_has_its_field_by_role_and_needs_to_know_the_time() -> None:
    late, early = {"at": "2026-11-23T10:00:00Z"}, {"day": "2026-11-22"}
    assert verdict("deny_past_dates: {}", {"begin": late}) == "allowed"
    assert verdict("deny_past_dates: {}", {"begin": early}) == "denied"
    assert verdict("deny_past_dates: {}", {"begin": {**late, **early}}) == "denied"
    assert verdict("deny_past_dates: {}", {"begin": {}}) == "denied"
    assert verdict("deny_past_dates: {}", {"begin": late}, now=None) == "undecidable"


@pytest.mark.parametrize(
    ("due", "says", "passes"),
    [
        (5, "due 5 is in the past", f"due ≥ {NOW + 1}"),
        ("2026-11-22", 'due "2026-11-22" is in the past', "due ≥ 2026-11-23"),
        ("2026-11-22T00:00:00Z", "is in the past", "due ≥ 2026-11-23T11:00:01+01:00"),
    ],
)
def test_what_would_pass_is_said_in_the_same_form_and_passes(due: Any, says: str, passes: str) -> None:
    holder = diary("deny_past_dates: { field: due, tz: Europe/Berlin }")
    found = reason(holder, "diary_book", {"due": due}, now=EXAMPLE_NOW + 0.5)
    assert says in found.says
    assert found.passes == passes
    assert judge(holder, "diary_book", {"due": found.limit}, now=EXAMPLE_NOW + 0.5).verdict == "allow"


def test_what_cannot_be_read_is_told_how_to_write_it() -> None:
    holder = diary("deny_past_dates: { field: due }")
    assert "2026-11-23T10:00:00 with or without Z" in reason(holder, "diary_book", {"due": "soon"}).says
    assert "milliseconds" in reason(holder, "diary_book", {"due": NOW * 1000}).says


# --- time_window -----------------------------------------------------------------------------------------

WEEK = "[mon, tue, wed, thu, fri]"


@pytest.mark.parametrize(
    ("tz", "days", "hours", "now", "opens"),
    [
        # opens: when the hours begin next, or nothing where they are on
        ("UTC", WEEK, "09:00-17:00", "2026-11-23T10:00:00Z", None),
        ("UTC", WEEK, "09:00-17:00", "2026-11-23T09:00:00Z", None),
        ("UTC", WEEK, "09:00-17:00", "2026-11-23T08:59:59Z", "2026-11-23 09:00 (mon)"),
        ("UTC", WEEK, "09:00-17:00", "2026-11-23T16:59:59Z", None),
        ("UTC", WEEK, "09:00-17:00", "2026-11-23T17:00:00Z", "2026-11-24 09:00 (tue)"),
        ("UTC", WEEK, "09:00-17:00", "2026-11-27T17:00:00Z", "2026-11-30 09:00 (mon)"),
        ("Asia/Tokyo", WEEK, "09:00-17:00", "2026-11-22T23:59:59Z", "2026-11-23 09:00 (mon)"),
        ("Asia/Tokyo", WEEK, "09:00-17:00", "2026-11-23T00:00:00Z", None),
        ("America/New_York", "[sun]", "20:00-24:00", "2026-11-23T04:59:59Z", None),
        ("America/New_York", "[sun]", "20:00-24:00", "2026-11-23T05:00:00Z", "2026-11-29 20:00 (sun)"),
        ("UTC", "[mon]", "00:00-24:00", "2026-11-23T00:00:00Z", None),
        ("UTC", "[mon]", "00:00-24:00", "2026-11-24T00:00:00Z", "2026-11-30 00:00 (mon)"),
        # over midnight: they belong to the day on which they began
        ("UTC", "[fri]", "22:00-06:00", "2026-11-28T05:59:59Z", None),
        ("UTC", "[fri]", "22:00-06:00", "2026-11-28T06:00:00Z", "2026-12-04 22:00 (fri)"),
        ("UTC", "[fri]", "22:00-06:00", "2026-11-27T05:00:00Z", "2026-11-27 22:00 (fri)"),
        ("UTC", "[sun]", "22:00-06:00", "2026-11-23T05:00:00Z", None),
        ("UTC", "[mon]", "22:00-00:00", "2026-11-23T23:59:59Z", None),
        ("UTC", "[mon]", "22:00-00:00", "2026-11-24T00:00:00Z", "2026-11-30 22:00 (mon)"),
        # clocks: put forward in Berlin on 29 March 2026 (02:00 is 03:00), back on 25 October (03:00 is 02:00)
        ("Europe/Berlin", "[sun]", "09:00-17:00", "2026-03-29T07:00:00Z", None),
        ("Europe/Berlin", "[sun]", "09:00-17:00", "2026-03-29T06:59:00Z", "2026-03-29 09:00 (sun)"),
        ("Europe/Berlin", "[sun]", "09:00-17:00", "2026-10-25T07:59:00Z", "2026-10-25 09:00 (sun)"),
        ("Europe/Berlin", "[sun]", "02:15-02:45", "2026-03-29T00:30:00Z", "2026-04-05 02:15 (sun)"),
        ("Europe/Berlin", "[sun]", "02:15-02:45", "2026-10-25T00:30:00Z", None),
        ("Europe/Berlin", "[sun]", "02:15-02:45", "2026-10-25T01:30:00Z", None),
    ],
)
def test_hours(tz: str, days: str, hours: str, now: str, opens: str | None) -> None:
    begin, end = hours.split("-")
    holder = diary(f"time_window: {{ tz: {tz}, days: {days}, from: {begin}, to: '{end}' }}")
    moment = datetime.fromisoformat(now).timestamp()
    decision = judge(holder, "diary_book", now=moment)
    assert (decision.reason.passes.partition("; next at ")[2] if decision.reason else None) == opens
    if opens:
        assert decision.reason is not None
        assert decision.reason.passes.startswith(f"{days[1:-1]} from {begin} to {end} {tz}")


def test_what_is_said_outside_the_hours() -> None:
    guardrail = f"time_window: {{ tz: Europe/Berlin, days: {WEEK}, from: 12:00, to: 17:00 }}"
    found = reason(diary(guardrail), "diary_book")
    assert found.says == "it is mon 11:00 in Europe/Berlin, outside the hours of this rule"
    assert found.passes == (
        "mon, tue, wed, thu, fri from 12:00 to 17:00 Europe/Berlin; next at 2026-11-23 12:00 (mon)"
    )
    assert verdict(guardrail, {}, now=None) == "undecidable"


# --- max_duration ----------------------------------------------------------------------------------------

AN_HOUR = "max_duration: { start: due, end: until, max: 3600 }"


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (NOW, NOW + 3600, "allowed"),
        (NOW, NOW + 3601, "denied"),
        (NOW, NOW, "allowed"),
        (NOW, NOW - 1, "denied"),
        (NOW, "2026-11-23T11:00:00Z", "allowed"),
        ("2026-11-23T10:00:00Z", "2026-11-23T11:00:00.000001Z", "denied"),
        ("2026-11-23T10:00:00Z", "2026-11-23T12:00:00+01:00", "allowed"),
        ("2026-11-23T10:00:00Z", "2026-11-23T10:59:00+01:00", "denied"),
        ("2026-11-23T10:00:00", "2026-11-23T11:00:00", "allowed"),
        ("2026-11-23T10:00:00", "2026-11-23T11:00:01", "denied"),
        ("2026-11-23T10:00:00", "2026-11-23T11:00:00Z", "undecidable"),
        (NOW, "2026-11-23T11:00:00", "undecidable"),
        ("2026-11-23", "2026-11-23T00:30:00", "undecidable"),
        ("2026-11-23T00:30:00Z", "2026-11-23", "undecidable"),
        ("2026-11-23", "2026-11-23", "denied"),  # a whole day
        (NOW * 1000, NOW * 1000 + 1, "undecidable"),
        (True, NOW, "undecidable"),
        (float(NOW) + 0.5, NOW + 1, "undecidable"),
        ("now", "later", "undecidable"),
        ({"x": 1}, NOW, "undecidable"),
        ([NOW, NOW], NOW, "undecidable"),
    ],
)
def test_a_span(start: Any, end: Any, expected: str) -> None:
    assert verdict(AN_HOUR, {"due": start, "until": end}) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("2026-11-23", "allowed"),
        ("2026-11-24", "allowed"),
        ("2026-11-25", "denied"),
        ("2026-11-22", "denied"),
    ],
)
def test_a_date_as_the_end_counts_to_the_end_of_that_day(last: str, expected: str) -> None:
    two_days = AN_HOUR.replace("3600", "172800")
    assert verdict(two_days, {"due": "2026-11-23", "until": last}) == expected
    assert verdict(two_days, {"due": "9999-12-31", "until": "9999-12-31"}) == "allowed"


@pytest.mark.parametrize(
    ("begin", "finish", "expected"),
    [
        ({"at": "2026-11-23T10:00:00Z"}, {"at": "2026-11-23T11:00:00Z"}, "allowed"),
        ({"at": "2026-11-23T10:00:00Z"}, {"at": "2026-11-23T11:00:01Z"}, "denied"),
        ({"at": "2026-11-23T10:00:00Z"}, {"day": "2026-11-23"}, "undecidable"),
        ({"at": "2026-11-23T10:00:00Z", "day": "2026-11-23"}, {"at": "2026-11-23T10:00:00Z"}, "undecidable"),
        ({"at": "2026-11-23T10:00:00Z"}, None, "denied"),
        ({"at": "2026-11-23T10:00:00Z"}, {}, "denied"),
        (None, {"at": "2026-11-23T10:00:00Z"}, "denied"),
    ],
)
def test_start_and_end_by_their_roles(begin: Any, finish: Any, expected: str) -> None:
    arguments = {name: value for name, value in (("begin", begin), ("finish", finish)) if value is not None}
    assert verdict("max_duration: { max: 3600 }", arguments) == expected


def slot(start: str, end: str) -> dict[str, str]:
    return {name: f"2026-11-23T{hour}:00Z" for name, hour in (("from", start), ("to", end)) if hour}


@pytest.mark.parametrize(
    ("slots", "expected", "where_missing_is_allowed"),
    [
        ([slot("10:00", "11:00"), slot("14:00", "15:00")], "allowed", "allowed"),
        ([slot("10:00", "11:00"), slot("14:00", "15:01")], "denied", "denied"),
        ([slot("14:00", "15:00"), slot("10:00", "09:00")], "denied", "denied"),
        # neither makes a pair with the other
        ([slot("10:00", ""), slot("", "10:30")], "denied", "undecidable"),
        ([slot("10:00", "10:30"), slot("10:00", "")], "denied", "undecidable"),
        ([slot("10:00", "")], "denied", "allowed"),
    ],
)
def test_starts_and_ends_pair_up_one_by_one(
    slots: list[dict[str, str]], expected: str, where_missing_is_allowed: str
) -> None:
    guardrail = "max_duration: { start: slots.from, end: slots.to, max: 3600 }"
    assert verdict(guardrail, {"slots": slots}) == expected
    assert verdict(f"{guardrail}, when_missing: allow", {"slots": slots}) == where_missing_is_allowed


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (NOW + 7200, "due to until lasts 7200 s, over the limit of 3600 s"),
        (NOW - 5, f"due to until: {NOW - 5} is before {NOW}"),
    ],
)
def test_what_is_said_of_a_span(end: int, says: str) -> None:
    found = reason(diary(AN_HOUR), "diary_book", {"due": NOW, "until": end})
    assert (found.says, found.passes, found.limit) == (says, "at most 3600 s from start to end", 3600)


# --- files and lists -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guardrail", "says"),
    [
        (
            "deny_past_dates: { tz: Europe/Berln }",
            "no time zone \"Europe/Berln\"; did you mean 'Europe/Berlin'?",
        ),
        ("deny_past_dates: { tz: ../UTC }", 'no time zone "../UTC"'),
        ("deny_past_dates: { tz: Europe }", 'no time zone "Europe"'),
        ("deny_past_dates: { tz: '' }", "must not be empty"),
        (f"time_window: {{ tz: Mars, days: {WEEK}, from: 09:00, to: 17:00 }}", 'no time zone "Mars"'),
        (f"time_window: {{ tz: UTC, days: {WEEK}, from: 09:00, to: 09:00 }}", "'00:00' to '24:00'"),
        (f"time_window: {{ tz: UTC, days: {WEEK}, from: 9:00, to: 17:00 }}", "written as '09:00', in quotes"),
        (f"time_window: {{ tz: UTC, days: {WEEK}, from: 24:00, to: 17:00 }}", "written as '09:00'"),
        (f"time_window: {{ tz: UTC, days: {WEEK}, from: 09:00, to: 24:01 }}", "written as '09:00'"),
        (f"time_window: {{ tz: UTC, days: {WEEK}, from: 09:00 }}", "'to' is missing"),
        ("time_window: { tz: UTC, days: [monday], from: 09:00, to: 17:00 }", "mon"),
        ("time_window: { tz: UTC, days: [], from: 09:00, to: 17:00 }", "must not be empty"),
        ("max_duration: { start: a, end: b }", "'max' is missing"),
        ("max_duration: { max: 0 }", "at least 1"),
        ("max_duration: { max: 1.5 }", "whole number"),
    ],
)
def test_what_is_no_time_is_refused_when_the_file_is_read(guardrail: str, says: str) -> None:
    with pytest.raises(SpecError) as raised:
        policy(f"guardrails:\n  - {{ for: write, {guardrail} }}\n")
    assert says in raised.value.message


def test_what_is_shown_of_it() -> None:
    holder = diary("deny_past_dates: { tz: Asia/Tokyo }, max_duration: { max: 60 }")
    schema: dict[str, Any] = build_toolset(holder).listing()["tools"][0]["inputSchema"]
    begin, finish = (
        schema["properties"][name]["properties"]["at"]["description"] for name in ("begin", "finish")
    )
    assert begin == (
        "Not in the past; without an offset it is read as Asia/Tokyo. At most 60 seconds from start to end."
    )
    assert finish == "At most 60 seconds from start to end."
