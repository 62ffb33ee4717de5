"""Names and connections as entries of a process environment."""

import pytest
from keywright import Invalid
from keywright.credential import from_wire
from keywright.injection import Entries

from tests.client.server import PASSWORD, credential


def test_the_last_segment_untouched() -> None:
    entries = Entries()
    entries.add_variables([("shop/db/HOST", "db1"), ("shop/mail/host", "mx"), ("limits", {"rows": 5})])
    assert entries.values() == {"HOST": "db1", "host": "mx", "limits": '{"rows": 5}'}


def test_a_collision_names_both() -> None:
    entries = Entries()
    with pytest.raises(Invalid) as caught:
        entries.add_variables([("shop/db/HOST", "hunter2"), ("mail/HOST", "hunter3")])
    assert "shop/db/HOST" in str(caught.value)
    assert "mail/HOST" in str(caught.value)
    assert "hunter" not in str(caught.value) + repr(entries)


def test_a_variable_and_a_connection_can_collide() -> None:
    entries = Entries()
    entries.add_variables([("shop/DB_HOST", "db1")])
    with pytest.raises(Invalid, match="shop/DB_HOST and DB_HOST of connection shop/db"):
        entries.add_connection(from_wire(credential()))
    entries = Entries()
    entries.add_variables([("shop/DB_HOST", "db1")])
    entries.add_connection(from_wire(credential()), "SHOP_")
    assert len(entries.values()) == 7


@pytest.mark.parametrize("name", ["shop/db.host", "shop/1st", "shop/a-b"])
def test_what_no_process_environment_takes_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match=name):
        Entries().add_variables([(name, "x")])


def test_a_nul_is_refused_without_its_value() -> None:
    with pytest.raises(Invalid, match="shop/KEY") as caught:
        Entries().add_variables([("shop/KEY", "hunter2\0")])
    assert "hunter2" not in str(caught.value)


def test_a_connection_with_a_prefix() -> None:
    entries = Entries()
    entries.add_connection(from_wire(credential()), "SHOP_")
    assert entries.values() == {
        "SHOP_DATABASE_URL": f"postgresql://shop_a:{PASSWORD}@db1:5432/shop",
        "SHOP_DB_HOST": "db1",
        "SHOP_DB_PORT": "5432",
        "SHOP_DB_NAME": "shop",
        "SHOP_DB_USER": "shop_a",
        "SHOP_DB_PASSWORD": PASSWORD,
    }


@pytest.mark.parametrize(
    "entry", ["LD_PRELOAD", "PATH", "ENV", "BASH_ENV", "PYTHONPATH", "GIT_SSH_COMMAND", "KEYWRIGHT_ADDR"]
)
def test_what_commands_a_program_is_refused_unless_it_is_allowed(entry: str) -> None:
    with pytest.raises(Invalid, match=f"shop/{entry} cannot be injected.*--allow {entry}"):
        Entries().add_variables([(f"shop/{entry}", "x")])
    entries = Entries([entry])
    entries.add_variables([(f"shop/{entry}", "x"), ("shop/MY_PATH", "y")])
    assert entries.values() == {entry: "x", "MY_PATH": "y"}
