"""The guards that rotation stands on: where each one is, what it looks like without it, and the test that then fails.

`make guards` removes them one after the other from a copy of the tree and sees the named test go red. That
what is listed here is there, and that docs/guards.md tells the same, is tested in every build.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """`text` in `file` becomes `without`; then `test` must fail."""

    name: str
    keeps: str
    file: str
    text: str
    without: str
    test: str


_S = "tests/scheduler"
_P = "tests/providers"

GUARDS = (
    Guard(
        "candidate first",
        "what the target is asked for was sealed and committed before (promise 2)",
        "scheduler/turning.py",
        "candidate, primary = known(brief.candidate), brief.target.primary",
        "candidate, primary = type(known(brief.candidate))(known(brief.candidate).username, "
        "profile().generate(self._randomness)), brief.target.primary",
        f"{_S}/test_crashes.py::test_the_ledger_knows_a_password_before_the_database_does",
    ),
    Guard(
        "look before staging",
        "a live password that was changed behind our back is noticed before anything is changed",
        "scheduler/turning.py",
        "match self._looks.probe(brief, former, lasting=True, likely=True):",
        "match Accepted({}):",
        f"{_S}/test_rotations.py",
    ),
    Guard(
        "look before undoing",
        "what is undone is what the target has, not what the ledger heard last",
        "scheduler/turning.py",
        "if not isinstance(look, Accepted) or self._touched(brief):",
        "if False:",
        f"{_S}/test_rotations.py::test_abandoning_undoes",
    ),
    Guard(
        "verification",
        "nothing is published before a login with it worked, as the same identity",
        "scheduler/turning.py",
        "if compared.differs:",
        "if False:",
        f"{_S}/test_rotations.py::test_a_login_that_acts_as_somebody_else_is_not_published",
    ),
    Guard(
        "lease check",
        "a worker asks whether the lease is its own before each change in the target",
        "scheduler/heartbeat.py",
        "if left < self.lease.total_seconds() / 3:",
        "if False:",
        f"{_S}/test_fence.py::test_a_worker_whose_lease_was_taken_stops",
    ),
    Guard(
        "fencing number in the ledger",
        "a step of a worker that was taken over is not recorded",
        "service/ledger/rotations.py",
        '_CHANGE = update(rotations).where(rotations.c.id == bindparam("held"), '
        'rotations.c.fence == bindparam("number"))',
        '_CHANGE = update(rotations).where(rotations.c.id == bindparam("held"), bindparam("number") > 0)',
        f"{_S}/test_rotations.py::test_a_worker_that_wakes_up_late_changes_nothing_in_the_ledger",
    ),
    Guard(
        "doubt",
        "after a worker that did not let go, the fence is raised before anything is believed",
        "service/ledger/rotations.py",
        "row.in_doubt or row.holder is not None",
        "row.in_doubt",
        f"{_S}/test_fence.py::test_a_late_worker_changes_nothing",
    ),
    Guard(
        "numbers grow",
        "also where the clock went back",
        "service/ledger/rotations.py",
        "max(row.fence, row.highest, ",
        "max(row.fence, ",
        f"{_S}/test_fence.py::test_a_late_worker_of_an_earlier_rotation",
    ),
    Guard(
        "the latest moment",
        "a clock that goes back cuts no promise short",
        "service/keeper/steps.py",
        "max(tx.latest + minimum, promised)",
        "max(tx.now + minimum, promised)",
        f"{_S}/test_changes.py::test_a_clock_that_goes_back_cuts_no_promise_short",
    ),
    Guard(
        "drain minimum",
        "a former credential works as long as was promised (promise 6)",
        "service/keeper/steps.py",
        "max(tx.latest + minimum, promised)",
        "tx.latest",
        f"{_S}/test_changes.py::test_a_shorter_drain_minimum_shortens_no_promise",
    ),
    Guard(
        "proof",
        "accepted and then rejected, or it is not retired (promise 7)",
        "scheduler/retirement.py",
        "return isinstance(new, Accepted) and isinstance(old, Rejected)",
        "return isinstance(old, Rejected)",
        f"{_S}/test_drain.py::test_a_blocked_account_proves_nothing",
    ),
    Guard(
        "target fence, PostgreSQL",
        "a statement with a lower number changes nothing (promise 5)",
        "providers/databases/postgresql_fence.py",
        "if kept is not None and kept > fence.number:",
        "if False:",
        f"{_P}/test_postgresql_fence.py::test_a_fence_raised_from_another_database_holds",
    ),
    Guard(
        "target fence, MariaDB",
        "the same",
        "providers/databases/mariadb_fence.py",
        "IF ({_NUMBER}) <= %s THEN",
        "IF ({_NUMBER}) <= %s OR TRUE THEN",
        f"{_P}/test_mariadb_fence.py::test_a_lower_number_changes_nothing_and_a_higher_one_does",
    ),
)
