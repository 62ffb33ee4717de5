"""Passwords that are known from breaches: nobody may choose one."""

import hashlib
from pathlib import Path

from tests.rigs.keywright import running_keywright
from tests.rigs.people import person

KNOWN = "walnut harbour pencil ostrich"


def test_a_password_in_the_list_is_refused(tmp_path: Path) -> None:
    hashes = sorted(hashlib.sha1(word.encode()).hexdigest().upper() for word in (KNOWN, "a", "b", "c"))
    file = tmp_path / "known.txt"
    file.write_text("".join(f"{each}:{number}\r\n" for number, each in enumerate(hashes)))
    with running_keywright(breached_passwords=file) as it:
        bob = person(it.service, "bob@example.test")
        text = it.client().post(f"/users/{bob.id}/invitations").json()["text"]
        refused = it.nobody().post("/session/new-password", json={"text": text, "password": KNOWN})
        assert refused.status_code == 422
        assert "list of passwords that became known" in refused.json()["detail"]
        file.unlink()
        closed = it.nobody().post("/session/new-password", json={"text": text, "password": f"{KNOWN} and more"})
        assert closed.status_code == 503  # not to be judged is not good enough
        assert str(tmp_path) not in closed.text
