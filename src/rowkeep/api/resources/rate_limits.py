"""The headers about rate limits in the answer to an insert.

`RateLimit-Policy` and `RateLimit` are those of draft-ietf-httpapi-ratelimit-headers-10: lists with a member
for each limit. Clients of today read the three `X-RateLimit-*`, which know one limit: the one of requests
with least left, or of bytes where requests have none. All times are in seconds from now.
"""

from collections.abc import Sequence

from rowkeep.api.http.wire import Headers
from rowkeep.model.rate_limits import RatePolicy, RateState, RateUnit


def rate_limit_headers(states: Sequence[RateState]) -> Headers:
    """Returns the headers about what is left of each limit. There must be at least one limit."""
    shown = min(states, key=lambda state: (state.policy.unit is not RateUnit.REQUESTS, state.remaining))
    return [
        (b"ratelimit-policy", ", ".join(_policy(state.policy) for state in states).encode()),
        (b"ratelimit", ", ".join(_left(state) for state in states).encode()),
        (b"x-ratelimit-limit", b"%d" % shown.policy.quota),
        (b"x-ratelimit-remaining", b"%d" % shown.remaining),
        (b"x-ratelimit-reset", b"%d" % shown.reset_seconds),
    ]


def _policy(policy: RatePolicy) -> str:
    # Requests are the unit that goes without saying.
    unit = "" if policy.unit is RateUnit.REQUESTS else f';qu="{policy.unit}"'
    return f'"{policy.name}";q={policy.quota}{unit};w={policy.window_seconds}'


def _left(state: RateState) -> str:
    return f'"{state.policy.name}";r={state.remaining};t={state.reset_seconds}'
