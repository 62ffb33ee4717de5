"""Which rigs (real servers, shared by the whole run) tests can ask for by fixture name."""

pytest_plugins = [
    "tests.rigs.openbao",
    "tests.rigs.moto",
    "tests.rigs.postgresql",
    "tests.rigs.mariadb",
    "tests.rigs.keywright",
    "tests.ledger.homes",
]
