"""The only place that names concrete classes: from settings to a service that is ready to run."""

import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from providers.identity.metadata import Documents
from providers.identity.oidc import OidcSignIns, OidcSignOuts
from providers.identity.saml_loaded import SamlLoaded
from providers.proofs.gate import Places
from providers.witness import FileWitness
from scheduler.clock import Clock
from scheduler.courier import Courier
from scheduler.pruner import Pruner
from scheduler.restoration import Restoration
from scheduler.rotator import Rotator
from scheduler.sentinel import Sentinel
from scheduler.writeback import WriteBack
from service.core.connection import Engine
from service.core.database import Database
from service.core.errors import Invalid, Unavailable
from service.core.reference import Store
from service.core.rotation import Limits
from service.homes import escrow_file, key_wrapper, stores
from service.keeper.approvals import Approvals
from service.keeper.break_glasses import BreakGlasses
from service.keeper.briefs import Briefs
from service.keeper.budget import Budget
from service.keeper.calendar import CronCalendar
from service.keeper.checks import Checks
from service.keeper.connections import Connections
from service.keeper.copies import Copies
from service.keeper.credentials import Credentials
from service.keeper.delays import Delays
from service.keeper.deliveries import Deliveries
from service.keeper.directory import Directory
from service.keeper.door import Door
from service.keeper.environments import Environments
from service.keeper.escrows import Escrows
from service.keeper.events import Events
from service.keeper.explaining import Explaining
from service.keeper.factors import Factors
from service.keeper.figures import Figures
from service.keeper.granting import Granting
from service.keeper.groups import Groups
from service.keeper.guard import Guard
from service.keeper.holders import Holders
from service.keeper.host_rules import HostRules
from service.keeper.identity_providers import IdentityProviders
from service.keeper.incidents import Incidents
from service.keeper.indexer import Indexer
from service.keeper.invitations import Invitations
from service.keeper.keeper import Keeper
from service.keeper.keys import Keyrings
from service.keeper.likeness import Likenesses
from service.keeper.logins import Logins
from service.keeper.machine_tokens import MachineTokens
from service.keeper.machines import Machines
from service.keeper.overdue import Overdue
from service.keeper.past import Past
from service.keeper.pendings import Pendings
from service.keeper.personal_tokens import PersonalTokens
from service.keeper.planning import Planning
from service.keeper.policies import Policies
from service.keeper.probes import Probes
from service.keeper.recorder import Recorder
from service.keeper.references import References
from service.keeper.rehearsals import Rehearsals
from service.keeper.replies import Replies
from service.keeper.restorations import Restorations
from service.keeper.retention import Retention
from service.keeper.reversal import Reversal
from service.keeper.rotations import Rotations
from service.keeper.secrets import Secrets
from service.keeper.sessions import Sessions
from service.keeper.settings import SettingsKept
from service.keeper.signals import Signals
from service.keeper.single import Singles
from service.keeper.steps import Steps
from service.keeper.tokens import Tokens
from service.keeper.users import Users
from service.keeper.values import Values
from service.keeper.variables import Variables
from service.keeper.versions import Versions
from service.keeper.walls import Walls
from service.keeper.webhooks import Webhooks
from service.keeper.wrappings import Wrappings
from service.ledger import schema
from service.ledger.ledger import Ledger
from service.people.people import People
from service.settings import Settings
from service.ways_in import Outside, ways_in
from service.ways_out import Databases, signed_statements, statements, webhook_post


@dataclass(frozen=True)
class Service:
    """A built service. `clock` ticks only after `start`; `close` lets go of everything."""

    settings: Settings
    ledger: Ledger
    keeper: Keeper
    people: People
    clock: Clock
    databases: Mapping[Engine, Database]
    rotator: Rotator
    restoration: Restoration
    sentinel: Sentinel
    indexer: Indexer
    pruner: Pruner
    courier: Courier
    new: bool
    """The ledger was made just now."""

    def close(self) -> None:
        """Stop what runs by itself, close the ledger."""
        self.pruner.stop()
        self.courier.stop()
        self.indexer.stop()
        self.sentinel.stop()
        self.clock.stop()
        self.keeper.recorder.stop()
        self.keeper.references.close()
        self.ledger.close()


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def build(
    settings: Settings,
    *,
    now: Callable[[], datetime] = utc_now,
    with_databases: Mapping[Engine, Database] | None = None,
    with_stores: Mapping[str, Store] | None = None,
    new_ledger: bool = True,
) -> Service:
    """Everything, wired. Opens the ledger and the keys; raises the key errors, Unavailable, Invalid.

    A wrong or missing master key writes nothing. `with_databases` and `with_stores` stand in for the ones
    that the settings name: for tests. Without `new_ledger` one that is not there is Unavailable, and not made.
    """
    randomness = secrets.token_bytes
    absent = Unavailable(f"there is no ledger at {settings.place}; `keywrightd init` makes one")
    if not new_ledger and settings.embedded_file and not settings.embedded_file.exists():
        raise absent
    ledger = open_ledger(settings, now)
    try:
        fresh = schema.revision(ledger) is None
        if fresh and not new_ledger:
            raise absent
        wrapper = key_wrapper(settings, settings.key_home, may_create=fresh and not settings.key)
        door = Door(ledger, randomness)
        keyrings = Keyrings(door, wrapper)
        if fresh:
            keyrings.check()  # before there is a ledger: one without a key would be of no use
        schema.ready(ledger)
        new = keyrings.open()
    except BaseException:
        ledger.close()
        raise
    recorder = Recorder(ledger)
    recorder.on_change(keyrings.heard)
    door.on_change(recorder.changed)
    walls = Walls(frozenset(settings.environments) or None)
    found_stores = with_stores if with_stores is not None else stores(settings)
    copies = Copies(keyrings, randomness, recorder.snapshot.wall)
    recorder.on_change(copies.heard)
    references = References(found_stores, limit=settings.store_timeout, copies=copies)
    found_databases = with_databases if with_databases is not None else Databases()
    budget = Budget(ledger, found_databases, settings.failed_logins)
    calendar = CronCalendar()
    definitions = Variables(door, walls, keyrings)
    door.guard = guard = Guard(keyrings, Likenesses(keyrings, definitions))
    credentials = Credentials(recorder, walls, keyrings, references)
    values = Values(recorder, walls, credentials, references, keyrings)
    indexer = Indexer(ledger)
    holders = Holders(door, indexer)
    limits = Limits(settings.workers, settings.parallel)
    planning = Planning(calendar, door.new_id, randomness)
    restorations = Restorations(door, walls)
    past = Past(door, restorations, FileWitness(settings.data))
    briefs, steps = Briefs(door, keyrings), Steps(door, keyrings)
    rotations = Rotations(door, walls, planning, limits, holders, Reversal(door, briefs, budget))
    overdue, tag_key = Overdue(door, walls), keyrings.tag_key()
    granting = Granting(door, walls)
    tokens, machines = Tokens(door, granting, recorder), Machines(door, granting)
    escrows = Escrows(door, walls, briefs, budget, escrow_file(settings, wrapper))
    places = Places()
    verifier, documents = signed_statements(places), Documents(places)
    sign_ins, sign_outs = OidcSignIns(documents, verifier), OidcSignOuts(documents, verifier)
    saml = SamlLoaded(randomness)
    outside = Outside(sign_ins, sign_outs, saml, saml, saml)
    holder = f"{socket.gethostname()[:40]}-{randomness(4).hex()}"
    waiting, sessions, delays = Pendings(door, keyrings), Sessions(door, recorder.snapshot), Delays(door)
    registered = Connections(door, walls, keyrings, references, budget, calendar, escrows, tag_key)
    users = Users(door, walls, granting)
    keeper = Keeper(
        door,
        recorder,
        references,
        keyrings,
        Environments(door, walls, keyrings),
        definitions,
        Versions(door, walls, definitions),
        values,
        Singles(values, keyrings),
        registered,
        Policies(door, walls, registered),
        HostRules(door, walls),
        credentials,
        rotations,
        holders,
        briefs,
        steps,
        tokens,
        granting,
        PersonalTokens(door),
        Explaining(door, walls),
        SettingsKept(door, walls),
        users,
        Groups(door, walls, granting),
        machines,
        Secrets(door, machines),
        MachineTokens(door, machines),
        Logins(door, recorder, granting, tokens, statements(settings, verifier, places)),
        Events(door, walls, keyrings, indexer),
        Retention(door, walls, keyrings, indexer, past),
        Replies(door, keyrings),
        Rehearsals(door, walls, briefs, holders, found_databases, budget),
        Figures(door, past, overdue),
        Incidents(door, walls, planning, limits),
        escrows,
        restorations,
        past,
        Checks(door, walls, briefs, references, budget, tag_key),
        overdue,
        Wrappings(door, keyrings, recorder, walls),
        waiting,
        sessions,
        Invitations(door, waiting, delays, users),
        Directory(door),
        Signals(door, recorder, walls),
        Webhooks(door, walls, keyrings, plain=settings.webhook_plain),
        Deliveries(door, walls, keyrings, holder),
        IdentityProviders(door, walls, keyrings, sign_ins, outside.saml_metadata),
        Factors(door, keyrings, granting),
        Approvals(door, walls, keyrings, guard),
        BreakGlasses(door, walls, recorder),
    )
    people = ways_in(settings, keeper, delays, outside)
    lease = timedelta(seconds=settings.lease)
    write_back = WriteBack(found_stores, references)
    rotator = Rotator(
        briefs, steps, rotations, escrows, holders, found_databases, budget, write_back, randomness, tag_key, lease
    )
    restoration = Restoration(
        past, Probes(door, walls, briefs), found_databases, budget, write_back, holder=holder, lease=lease
    )
    clock = Clock(
        rotations,
        keeper.incidents,
        rotator,
        restoration,
        holder=holder,
        lease=lease,
        interval=settings.tick,
        parallel=settings.parallel,
    )
    sentinel = Sentinel(keeper.checks, escrows, keeper.overdue, lambda: clock.ticks or not clock.started)
    pruner = Pruner(keeper.retention, settings.events_kept)
    courier = Courier(keeper.deliveries, webhook_post(settings))
    parts = (keeper, people, clock, found_databases, rotator, restoration, sentinel, indexer, pruner, courier)
    return Service(settings, ledger, *parts, new)


def open_ledger(settings: Settings, now: Callable[[], datetime] = utc_now) -> Ledger:
    """The ledger, not looked at yet. Makes the data folder of an embedded one."""
    url = settings.ledger_url
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif not url.startswith(("postgresql://", "postgres://")):
        raise Invalid("KEYWRIGHT_LEDGER must begin with postgresql:// (or be empty, for SQLite)")
    return Ledger(url, now=now, randomness=secrets.token_bytes)
