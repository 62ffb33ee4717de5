"""Figures: what matrix and soak showed, one line for each thing that can go wrong."""

from collections.abc import Iterable

from service.core.rotation import Strategy
from tests.torture.matrix import Matrix
from tests.torture.site import LEASE, Case
from tests.torture.soak import Soak
from tests.torture.successor import Finding

CHANGES = ("postgresql: COMMIT", "mariadb: BEGIN NOT", "mariadb: ALTER USER", "mariadb: SET PASSWORD")
"""What brings a password into force, as points name it."""


def rows(matrix: Matrix) -> list[str]:
    """The matrix, asked about particular misfortunes."""
    found = {case: it for case, it in matrix.found.items() if case.point}

    def failed(cases: Iterable[tuple[Case, Finding]]) -> str:
        listed = list(cases)
        return f"{sum(len(it.failed) for _, it in listed)} failed of {sum(it.logins for _, it in listed)} logins"

    points = {(*c.row[:3], c.ledger): it.points for c, it in matrix.found.items() if not c.point}
    killed = [
        (c, it)
        for c, it in found.items()
        if not c.pause and c.point > 1 and points[(*c.row[:3], c.ledger)][c.point - 2] in CHANGES
    ]
    ordinary = [(c, it) for c, it in killed if c.flow != "itself"]
    own = [(c, it) for c, it in killed if c.flow == "itself"]
    lost = [(c, it) for c, it in matrix.found.items() if c.flow == "lost"]
    stopped = [(c, it) for c, it in found.items() if c.pause]
    like = {(c.server, c.strategy, c.point): it.seconds for c, it in found.items() if _comparable(c)}
    later = [
        it.seconds - like[c.server, c.strategy, c.point] for c, it in stopped if (c.server, c.strategy, c.point) in like
    ]
    powerless = [it for c, it in matrix.found.items() if c.flow == "powerless"]
    restaged = [it for c, it in matrix.found.items() if c.flow == "restage"]
    at_once = sum(it.stage == "abandoned" and not it.attempts for it in powerless)
    restart = f"right at most {_most(ordinary):.1f} s after the restart (lease {LEASE} s)"
    return [
        f"killed right after a change in the target: {restart}, {failed(ordinary)}",
        f"the same for an administration login that turns itself: {_most(own):.1f} s, {failed(own)}",
        f"the reply to a change is lost: {failed(lost)}",
        f"stopped in the middle of a change, woken when another had ended it: {failed(stopped)}",
        f"which took that one at most {max(later, default=0):.1f} s longer than after a kill",
        f"a candidate is refused: {sum(it.stage == 'retired' for it in restaged)} of {len(restaged)} retired",
        f"not permitted: {at_once} of {len(powerless)} abandoned at the first try",
    ]


def _comparable(case: Case) -> bool:
    return not case.pause and case.flow == "turn" and case.ledger == "postgresql"


def _most(cases: list[tuple[Case, Finding]]) -> float:
    return max((it.right for _, it in cases), default=0.0)


def line(matrix: Matrix, soak: Soak) -> str:
    """For machines."""
    findings = list(matrix.found.items())
    failed = {
        strategy: sum(len(it.failed) for case, it in findings if case.strategy is strategy)
        + sum(len(shop.failed) for shop in soak.shops if shop.strategy is strategy)
        for strategy in Strategy
    }
    figures = {
        "kills": matrix.kills + soak.tally.kills,
        "rotations": len(findings) + soak.tally.stages.total(),
        "logins": sum(it.logins for _, it in findings) + sum(shop.holders.logins for shop in soak.shops),
        "logins_oldest": sum(it.logins_oldest for _, it in findings)
        + sum(shop.holders.logins_oldest for shop in soak.shops),
        "lockouts": sum(it.locked_out for _, it in findings) + sum(shop.lockouts for shop in soak.shops),
    } | {f"failed_{strategy.value}": number for strategy, number in failed.items()}
    return "torture: " + " ".join(f"{name}={value}" for name, value in figures.items())


def plaintext(matrix: Matrix, soak: Soak) -> list[str]:
    """Passwords that the statement logs of the targets show; the logs are at their most talkative."""
    known = {password for shop in soak.shops for answer in shop.holders.answers for (_, password), _ in answer}
    for case in matrix.found:
        file = matrix.site.home(case) / "asked"
        known |= set(file.read_text().split()) if file.exists() else set()
    found = []
    for name, server in matrix.site.targets.items():
        words = set(server.log_text().replace("'", " ").replace('"', " ").split())
        # The first ones were set by the harness itself.
        if shown := {p for p in known & words if not p.startswith("first-")}:
            found.append(f"{name}: {len(shown)} passwords in its statement log")
    return found
