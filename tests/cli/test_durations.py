from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.cli.durations import duration_text, read_duration, read_moment, rough
from tests.cli.rollout.views import NOW


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("0", timedelta(0)),
        ("90s", timedelta(seconds=90)),
        ("0.5s", timedelta(milliseconds=500)),
        ("15m", timedelta(minutes=15)),
        ("1h30m", timedelta(minutes=90)),
        ("3d", timedelta(days=3)),
        ("1w2d", timedelta(days=9)),
    ],
)
def test_a_length_of_time_is_read_as_people_write_it(text: str, length: timedelta) -> None:
    assert read_duration(text) == length


@pytest.mark.parametrize(
    "text", ["", "3", "-1h", "1 h", "1h 30m", "h", "1y", "PT1H", "1h1h", "1e9d"]
)
def test_what_is_no_length_of_time_is_named_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it like 90s, 15m, 1h30m or 3d") as refusal:
        read_duration(text)

    assert repr(text) in str(refusal.value)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10_000)))
def test_a_length_that_is_written_is_read_as_the_same(length: timedelta) -> None:
    assert read_duration(duration_text(length)) == length


def test_in_passing_two_units_are_enough() -> None:
    assert rough(timedelta(days=2, hours=3, minutes=4, seconds=5)) == "2d3h"
    assert rough(timedelta(seconds=59, milliseconds=900)) == "1m"
    assert rough(timedelta(0)) == "0s"


def test_a_point_in_time_is_said_as_how_long_from_now_or_as_when() -> None:
    assert read_moment("2h", NOW) == NOW + timedelta(hours=2)
    assert read_moment("2026-11-23T09:30", NOW) == NOW + timedelta(hours=21, minutes=30)
    assert read_moment("2126-01-01T00:00:00+05:00", NOW).utcoffset() is not None


@pytest.mark.parametrize("text", ["0", "2026-11-22T11:59", "2020-01-01"])
def test_what_is_past_is_no_time_to_wait_for(text: str) -> None:
    with pytest.raises(ValueError, match="is not in the future"):
        read_moment(text, NOW)


@pytest.mark.parametrize("text", ["tomorrow", "2026-13-01", "", "25:00"])
def test_a_point_in_time_that_nobody_understands_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="write how long from now, as in 2h or 3d, or when"):
        read_moment(text, NOW)
