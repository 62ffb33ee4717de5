"""The keeper as a whole: its operations, by noun."""

from dataclasses import dataclass

from service.keeper.approvals import Approvals
from service.keeper.break_glasses import BreakGlasses
from service.keeper.briefs import Briefs
from service.keeper.checks import Checks
from service.keeper.connections import Connections
from service.keeper.credentials import Credentials
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
from service.keeper.holders import Holders
from service.keeper.host_rules import HostRules
from service.keeper.identity_providers import IdentityProviders
from service.keeper.incidents import Incidents
from service.keeper.invitations import Invitations
from service.keeper.keys import Keyrings
from service.keeper.logins import Logins
from service.keeper.machine_tokens import MachineTokens
from service.keeper.machines import Machines
from service.keeper.overdue import Overdue
from service.keeper.past import Past
from service.keeper.pendings import Pendings
from service.keeper.personal_tokens import PersonalTokens
from service.keeper.policies import Policies
from service.keeper.recorder import Recorder
from service.keeper.references import References
from service.keeper.rehearsals import Rehearsals
from service.keeper.replies import Replies
from service.keeper.restorations import Restorations
from service.keeper.retention import Retention
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
from service.keeper.webhooks import Webhooks
from service.keeper.wrappings import Wrappings


@dataclass(frozen=True)
class Keeper:
    """The operations, by noun."""

    door: Door
    recorder: Recorder
    references: References
    keyrings: Keyrings
    environments: Environments
    variables: Variables
    versions: Versions
    values: Values
    singles: Singles
    connections: Connections
    policies: Policies
    host_rules: HostRules
    credentials: Credentials
    rotations: Rotations
    holders: Holders
    briefs: Briefs
    steps: Steps
    tokens: Tokens
    granting: Granting
    personal_tokens: PersonalTokens
    explaining: Explaining
    settings: SettingsKept
    users: Users
    groups: Groups
    machines: Machines
    secrets: Secrets
    machine_tokens: MachineTokens
    logins: Logins
    events: Events
    retention: Retention
    replies: Replies
    rehearsals: Rehearsals
    figures: Figures
    incidents: Incidents
    escrows: Escrows
    restorations: Restorations
    past: Past
    checks: Checks
    overdue: Overdue
    wrappings: Wrappings
    pendings: Pendings
    sessions: Sessions
    invitations: Invitations
    directory: Directory
    signals: Signals
    webhooks: Webhooks
    deliveries: Deliveries
    identity_providers: IdentityProviders
    factors: Factors
    approvals: Approvals
    break_glasses: BreakGlasses
