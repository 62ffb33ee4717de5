"""The application: routers, errors, envelope, and the OpenAPI document."""

from collections.abc import Callable

from anyio import CapacityLimiter
from fastapi import FastAPI

from service.core.proof import ASKING
from service.http import (
    access,
    approvals,
    connections,
    credentials,
    environments,
    events,
    factors,
    groups,
    health,
    host_rules,
    identity_providers,
    incidents,
    logins,
    machines,
    passwords,
    policies,
    problems,
    restorations,
    rotations,
    session_factors,
    sessions,
    settings,
    stream,
    tokens,
    users,
    values,
    variables,
    webhooks,
)
from service.http.cookies import Cookies
from service.http.document import completed
from service.http.envelope import Envelope
from service.http.fetching import Fetching
from service.http.limits import Limits
from service.http.metrics import Metrics
from service.http.oauth import consent, device, token, well_known
from service.http.pages import factor_sign_in, home, oidc, saml, sign_in
from service.http.pages import factors as factor_pages
from service.http.plain import Reader
from service.http.reception import Reception
from service.http.scim import beside
from service.http.streams import Feed
from service.http.vault import errors as vault_errors
from service.http.vault.dialect import reader
from service.http.vault.door import Beside
from service.http.vault.mounts import Mounts
from service.http.waiting import Changes
from service.keeper.keeper import Keeper
from service.people.authorization import Authorization
from service.people.devices import Devices
from service.people.people import People

VERSION = "0.1.0"
PROVING = 8
"""Logins by statements that are looked at at once, beside those that ask somebody outside."""
LOOKS = 8
"""Databases that are looked at for callers at once; more wait their turn."""
HASHING = 8
"""Requests that have a password looked at, or wait for that, in threads of their own; more wait without one."""


def application(
    keeper: Keeper,
    *,
    poke: Callable[[], None],
    clock_ticks: Callable[[], bool],
    overdue: Callable[[], int] = lambda: 0,
    limits: Limits | None = None,
    warnings: Callable[[], list[str]] = list,
    streams: int = 1000,
    mounts: Mounts | None = None,
    leases: bool = False,
    people: People | None = None,
    cookies: Cookies | None = None,
    url: str = "",
) -> FastAPI:
    """The native door, the SCIM door, and the Vault door where it has `mounts`; for `leases` see
    `service.http.vault.static`.

    `poke` makes the clock look now; `clock_ticks` tells whether it does. `overdue` tells how many connections have
    something overdue, `warnings` what else `/readyz` has to say. `streams` is how many may be open at once. Without
    `people` nobody signs in. `url` is where people reach this server, if that is known.
    """
    app = FastAPI(
        title="Keywright",
        version=VERSION,
        description="Connection configuration, encrypted per environment, and passwords that turn by themselves.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.keeper = keeper
    app.state.url = url
    limits = limits or Limits()
    app.state.changes = changes = Changes(keeper.recorder, keeper.references, limits)
    app.state.fetching = Fetching(keeper, changes)
    app.state.feed = feed = Feed(keeper.signals, limits, streams)
    app.state.poke = poke
    app.state.looks = CapacityLimiter(LOOKS)
    app.state.probes = CapacityLimiter(2)
    app.state.proofs = CapacityLimiter(ASKING + PROVING)
    app.state.hashing = CapacityLimiter(HASHING)
    app.state.clock_ticks = clock_ticks
    app.state.people, app.state.cookies, app.state.url = people, cookies or Cookies(url), url
    app.state.overdue = overdue
    app.state.warnings = warnings
    app.state.metrics = metrics = Metrics(keeper.figures, lambda: feed.open, keeper.deliveries.counted)
    problems.install(app)
    nouns = (environments, variables, values, connections, policies, host_rules, credentials, rotations)
    persons = (users, groups, access, settings, sessions, passwords, factors, session_factors, identity_providers)
    others = (incidents, restorations, tokens, machines, logins, events, stream, webhooks, approvals)
    entrances = (logins.entrance, sessions.entrance, session_factors.entrance)
    pages = (home, sign_in, factor_sign_in, factor_pages, oidc, saml, well_known, consent, token, device)
    routers = [health.router, *(part.router for part in (*nouns, *persons, *others)), *entrances]
    routers += [*(part.router for part in pages), factor_sign_in.challenges]
    for router in routers:
        app.router.routes.extend(router.routes)
    app.state.authorization = Authorization(keeper.door, keeper.recorder, keeper.pendings, keeper.sessions)
    app.state.devices = Devices(keeper.door, keeper.pendings, app.state.authorization)
    app.state.readers = readers = dict[bytes, Reader]()
    if mounts is not None:
        app.state.mounts, app.state.leases = mounts, leases
        app.add_middleware(Beside)
        readers[b"/v1/"] = reader(mounts, leases=leases)
    app.add_middleware(beside.BesideScim, url=url)
    document = app.openapi

    def openapi() -> dict[str, object]:
        if app.openapi_schema is None:
            app.openapi_schema = completed(document())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    app.state.reception = reception = Reception(metrics.count, limits)
    bares = {"/sci": beside.bare} | ({"/v1/": vault_errors.bare} if mounts is not None else {})
    app.add_middleware(Envelope, reception=reception, bares=bares)
    return app
