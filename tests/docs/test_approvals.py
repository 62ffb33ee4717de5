"""The commands of docs/approvals.md, run as they are written, by two people who are signed in."""

from pathlib import Path

import pytest

from tests.docs.sessions import ROOT, Block, run, to_run
from tests.docs.test_readme import environ
from tests.rigs.keywright import running_keywright
from tests.rigs.signed_in import signed_in

PAGE = ROOT / "docs" / "approvals.md"
WORDS = """
KW=$KEYWRIGHT_ADDR/api/v1
ask() { curl -sS --fail-with-body -o /dev/null -H "Authorization: Bearer $ROOT_TOKEN" "$@"; }
as() { local who=${1^^}_TOKEN; shift; KEYWRIGHT_TOKEN=${!who} "$@"; }
"""


@pytest.mark.timeout(300)
def test_approvals_do_what_their_page_says(tmp_path: Path) -> None:
    with running_keywright() as it:
        owner = it.client()
        assert owner.post("/environments", json={"name": "production"}).status_code == 201
        made = owner.put("/environments/production/variables/shop/PASSWORD", json={"value": "correct horse"})
        assert made.status_code == 201
        owns = ("own", "environment", "production")
        alice, bob = (signed_in(it, f"{name}@example.com", owns) for name in ("alice", "bob"))
        surroundings = environ(tmp_path, None, 0) | {
            "KEYWRIGHT_ADDR": it.url,
            "KEYWRIGHT_ENVIRONMENT": "production",
            "ROOT_TOKEN": it.owner,
            "ALICE_TOKEN": alice.token,
            "BOB_TOKEN": bob.token,
        }
        run([Block("sh", WORDS, 0, "", None), *to_run(PAGE, from_16=True)], tmp_path, surroundings, {})
