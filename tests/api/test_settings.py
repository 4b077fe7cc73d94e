"""What the API's settings may say."""

from datetime import timedelta

import pytest

from controlplane.settings import ApiSettings

LISTENING = {
    "CONTROLPLANE_API_GRPC_LISTEN": "127.0.0.1:1",
    "CONTROLPLANE_API_TLS_LISTEN": "127.0.0.1:2",
    "CONTROLPLANE_API_HTTP_LISTEN": "127.0.0.1:3",
}


@pytest.mark.parametrize(("said", "days"), [(None, 7), ("", 7), ("0", 0), ("30", 30)])
def test_a_region_that_was_left_is_returned_to_after_so_many_days(
    said: str | None, days: int
) -> None:
    env = LISTENING if said is None else {**LISTENING, "CONTROLPLANE_REPLICA_COOLDOWN": said}

    assert ApiSettings.from_env(env).replica_cooldown == timedelta(days=days)


@pytest.mark.parametrize("said", ["7d", "-1", "1.5", "3651"])
def test_a_cooldown_that_is_no_number_of_days_is_refused_with_what_to_write(said: str) -> None:
    with pytest.raises(ValueError, match="whole number of days, 0 to 3650"):
        ApiSettings.from_env({**LISTENING, "CONTROLPLANE_REPLICA_COOLDOWN": said})
