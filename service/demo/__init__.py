"""The demo: watch passwords turn while three applications keep logging in. `keywrightd demo`, `make demo`."""

from service.demo.stopping import Stopping


def run(seconds: int) -> int:
    """Play for that many seconds; the exit status: 0, or 4 after a failed login or too few rotations.

    Raises KeywrightError when it cannot begin, such as for want of a PostgreSQL.
    """
    stopping = Stopping()
    with stopping.listening():
        # Loading this takes a while: an interrupt in the middle of it is heard already.
        from service.demo.play import play

        return play(seconds, stopping)
