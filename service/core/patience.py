"""How long who was wrong has to wait before it may try again: twice as long each time.

    wrong, one after another   1  2  3  4   5   6    7    8    9     10 and more
    seconds to wait            0  0  0  5   10  20   40   80   160   … 15 minutes at most

Passwords and second factors are counted together, and only a sign-in that came to its end begins anew: whoever knows
the password cannot try code after code by showing the password in between.
"""

from datetime import datetime, timedelta

FREE = 3
FIRST = timedelta(seconds=5)
LONGEST = timedelta(minutes=15)


def wait(failures: int, failed_at: datetime | None, now: datetime) -> timedelta:
    """What is left of the wait after so many failures in a row, the last of them then."""
    if failures <= FREE or failed_at is None:
        return timedelta()
    whole = min(FIRST * (1 << min(failures - FREE - 1, 20)), LONGEST)
    return max(failed_at + whole - now, timedelta())
