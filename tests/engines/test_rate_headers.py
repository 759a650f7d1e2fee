"""Headers as endpoints write them."""

import time
from email.utils import formatdate

import pytest

from lema_ray.engines.rate_headers import read_told
from lema_ray.spending.limiter import Told


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, None),
        ({"content-type": "application/json", "retry-after": "soon"}, None),
        ({"retry-after": "2"}, Told(retry_after=2.0)),
        ({"retry-after": "2", "retry-after-ms": "1500"}, Told(retry_after=1.5)),
        ({"x-ratelimit-reset-requests": "6m0s"}, Told(requests_reset=360.0)),
        ({"x-ratelimit-reset-tokens": "120ms"}, Told(tokens_reset=0.12)),
        ({"x-ratelimit-reset-tokens": "1h2m3.5s"}, Told(tokens_reset=3723.5)),
        ({"x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "0"}, Told(None, 500.0, 0.0)),
        (
            {"x-ratelimit-limit-tokens": "30000", "x-ratelimit-remaining-tokens": "-5"},
            Told(tokens=30000, tokens_left=0),
        ),
        ({"x-ratelimit-limit-tokens": "many", "x-ratelimit-reset-tokens": "1s later"}, None),
    ],
)
def test_headers_are_read(headers: dict[str, str], told: Told | None) -> None:
    assert read_told(headers) == told


def test_a_date_is_a_time_from_now() -> None:
    told = read_told({"retry-after": formatdate(time.time() + 30, usegmt=True)})
    assert told is not None and told.retry_after is not None and 28 <= told.retry_after <= 31
