"""The access matrix as tables: which caller gets which answer, for each route and each thing it is used on.

An answer is one letter:

    +  allowed               the caller gets what they asked for, or hears what is wrong with their body
    U  401 invalid_token     no credentials, or ones that do not count
    N  404 not_found_error   absent, or not to be seen
    S  403 insufficient_scope
    F  403 forbidden

Routes on data need one of five things of a caller, in this order: `overview`, `metadata`, `data`, `edit`, and
`govern` (to change who has access). A cell of GRID has a letter for each. A column is a target: a dataset
at a version. Source: contract 2.3, 2.4, 7.16, 7.22.
"""

from typing import Any

import msgspec

API = "/api/v1"

# Who calls: the user of this name (None: nobody) with a token of these scopes (None: all that a token has
# when none is named).
CALLERS: dict[str, tuple[str | None, tuple[str, ...] | None]] = {
    "anonymous": (None, None),
    "stranger": ("stranger", None),
    "stranger, public": ("stranger", ("public",)),
    "granted overview": ("sees_overview", None),
    "granted overview, public": ("sees_overview", ("public",)),
    "granted metadata": ("sees_metadata", None),
    "granted sample": ("sees_sample", None),
    "granted data": ("sees_data", None),
    "granted data, data.metadata": ("sees_data", ("data.metadata",)),
    "granted edit": ("edits", None),
    "granted edit, data.data": ("edits", ("data.data",)),
    "member of the granted": ("reader", None),
    "head of the granted": ("keeper", None),
    "owner": ("OWNER", None),
    "owner, data.edit": ("OWNER", ("data.edit",)),
    "owner, data.data": ("OWNER", ("data.data",)),
    "owner, data.metadata": ("OWNER", ("data.metadata",)),
    "owner, data.overview": ("OWNER", ("data.overview",)),
    "owner, public": ("OWNER", ("public",)),
    "owner, organization.write": ("OWNER", ("organization.write",)),
    "other administrator": ("OTHER", None),
    "plain member": ("member", None),
    "revoked": ("OWNER", None),
    "expired": ("OWNER", None),
}

NEEDS = ("overview", "metadata", "data", "edit", "govern")

# unreleased: never released, publicAccessLevel data. none to data: released, with that publicAccessLevel, and
# with a next version. next: that next version where publicAccessLevel is data. deleted: a released
# version that was deleted, where publicAccessLevel is data. absent: never was.
GRID = """
                            unreleased none  overview metadata sample data  next  deleted absent
anonymous                   UUUUU      UUUUU +UUUU    ++UUU    ++UUU  +++UU UUUUU UUUUU   UUUUU
stranger                    NNNNN      NNNNN +FFFF    ++FFF    ++FFF  +++FF NNNNN NNNNN   NNNNN
stranger, public            NNNNN      NNNNN +SSSS    ++SSS    ++SSS  +++SS NNNNN NNNNN   NNNNN
granted overview            NNNNN      +FFFF +FFFF    ++FFF    ++FFF  +++FF NNNNN NNNNN   NNNNN
granted overview, public    NNNNN      SSSSS +SSSS    ++SSS    ++SSS  +++SS NNNNN NNNNN   NNNNN
granted metadata            NNNNN      ++FFF ++FFF    ++FFF    ++FFF  +++FF NNNNN NNNNN   NNNNN
granted sample              NNNNN      ++FFF ++FFF    ++FFF    ++FFF  +++FF NNNNN NNNNN   NNNNN
granted data                NNNNN      +++FF +++FF    +++FF    +++FF  +++FF NNNNN NNNNN   NNNNN
granted data, data.metadata NNNNN      ++SSS ++SSS    ++SSS    ++SSS  +++SS NNNNN NNNNN   NNNNN
granted edit                ++++F      ++++F ++++F    ++++F    ++++F  ++++F ++++F NNNNN   NNNNN
granted edit, data.data     SSSSS      +++SS +++SS    +++SS    +++SS  +++SS SSSSS NNNNN   NNNNN
member of the granted       NNNNN      +++FF +++FF    +++FF    +++FF  +++FF NNNNN NNNNN   NNNNN
head of the granted         NNNNN      +++FF +++FF    +++FF    +++FF  +++FF NNNNN NNNNN   NNNNN
owner                       +++++      +++++ +++++    +++++    +++++  +++++ +++++ NNNNN   NNNNN
owner, data.edit            +++++      +++++ +++++    +++++    +++++  +++++ +++++ NNNNN   NNNNN
owner, data.data            SSSSS      +++SS +++SS    +++SS    +++SS  +++SS SSSSS NNNNN   NNNNN
owner, data.metadata        SSSSS      ++SSS ++SSS    ++SSS    ++SSS  +++SS SSSSS NNNNN   NNNNN
owner, data.overview        SSSSS      +SSSS +SSSS    ++SSS    ++SSS  +++SS SSSSS NNNNN   NNNNN
owner, public               SSSSS      SSSSS +SSSS    ++SSS    ++SSS  +++SS SSSSS NNNNN   NNNNN
owner, organization.write   SSSSS      SSSSS +SSSS    ++SSS    ++SSS  +++SS SSSSS NNNNN   NNNNN
other administrator         NNNNN      NNNNN +FFFF    ++FFF    ++FFF  +++FF NNNNN NNNNN   NNNNN
plain member                NNNNN      NNNNN +FFFF    ++FFF    ++FFF  +++FF NNNNN NNNNN   NNNNN
revoked                     UUUUU      UUUUU UUUUU    UUUUU    UUUUU  UUUUU UUUUU UUUUU   UUUUU
expired                     UUUUU      UUUUU UUUUU    UUUUU    UUUUU  UUUUU UUUUU UUUUU   UUUUU
"""

# Routes that are not on a dataset. OWNER is a user here; lab is the organization that OTHER administers.
#   open     says nothing about anybody's data: health, the API's own description, and who exists
#   answered the same, but a bad token is refused
#   signed   takes a token, whatever it is for
#   kept     shows what was done to what belongs to the caller
#   user     creates a dataset of OWNER; lab: one of lab
#   read     shows who is in lab; write: changes it
#   own      a read stream of OWNER over unreleased data; public: one of nobody over public data
#   gone     an export, a query or a file on its way that is not there
GATES = """
                            open answered signed kept user lab read write own public gone
anonymous                   +    +        U      U    U    U   U    U     U   +      U
stranger                    +    +        +      +    F    F   F    F     N   +      N
stranger, public            +    +        +      S    S    S   S    S     N   +      N
granted overview            +    +        +      +    F    F   F    F     N   +      N
granted overview, public    +    +        +      S    S    S   S    S     N   +      N
granted metadata            +    +        +      +    F    F   F    F     N   +      N
granted sample              +    +        +      +    F    F   F    F     N   +      N
granted data                +    +        +      +    F    F   F    F     N   +      N
granted data, data.metadata +    +        +      S    S    S   S    S     N   +      N
granted edit                +    +        +      +    F    F   F    F     N   +      N
granted edit, data.data     +    +        +      S    S    S   S    S     N   +      N
member of the granted       +    +        +      +    F    F   F    F     N   +      N
head of the granted         +    +        +      +    F    F   F    F     N   +      N
owner                       +    +        +      +    +    F   F    F     +   +      N
owner, data.edit            +    +        +      +    +    F   S    S     +   +      N
owner, data.data            +    +        +      S    S    S   S    S     S   +      N
owner, data.metadata        +    +        +      S    S    S   S    S     S   +      N
owner, data.overview        +    +        +      S    S    S   S    S     S   +      N
owner, public               +    +        +      S    S    S   S    S     S   +      N
owner, organization.write   +    +        +      S    S    S   F    F     S   +      N
other administrator         +    +        +      +    F    +   +    +     N   +      N
plain member                +    +        +      +    F    F   F    F     N   +      N
revoked                     +    U        U      U    U    U   U    U     U   U      U
expired                     +    U        U      U    U    U   U    U     U   U      U
"""


class Action(msgspec.Struct, frozen=True):
    """How a route is used to find out who may use it.

    `need` is a column of GATES or one of NEEDS. `body` is one that is refused, with 400, only after access
    was checked, where there is such a body: so a changing action changes nothing and 400 means allowed.
    `allowed` is the status that means so, on what is unreleased (first), next and released. Where an
    allowed action does change something, `renews` says that its target is then built again.
    """

    need: str
    body: dict[str, Any] | None = None
    allowed: tuple[int, int, int] = (200, 200, 200)
    renews: bool = False


_REFUSED = (400, 400, 400)
_NO_NAME = {"name": "!"}
_SAME_VALUE_TWICE = [{"value": "1", "label": "a"}, {"value": "1", "label": "b"}]
_VARIABLES = {"variables": [{"name": "site", "valueLabels": _SAME_VALUE_TWICE}]}

_DATASET = f"{API}/datasets/{{dataset}}"
_ACCESS = f"{_DATASET}/access/{{grantee}}"
_QUERY = f"{API}/queries/{{query}}"
_VERSION = f"{_DATASET}/versions/{{version}}"
_TABLE = f"{API}/tables/{{table}}"
_UPLOAD = f"{_TABLE}/uploads/{{upload}}"
_LAB = f"{API}/organizations/{{owner}}"
_MEMBER = f"{_LAB}/members/{{user}}"

ACTIONS: dict[tuple[str, str], Action] = {
    ("GET", _DATASET): Action("overview"),
    ("PATCH", _DATASET): Action("edit", _NO_NAME, _REFUSED),
    ("POST", _DATASET): Action("edit", _NO_NAME, _REFUSED),
    ("DELETE", _DATASET): Action("edit", renews=True),
    ("GET", f"{_DATASET}/access"): Action("edit"),
    ("GET", _ACCESS): Action("edit"),
    ("PUT", _ACCESS): Action("govern", {"accessLevel": "none"}, _REFUSED),
    ("DELETE", _ACCESS): Action("govern", renews=True),
    ("GET", f"{_DATASET}/audit"): Action("govern"),
    ("GET", f"{API}/audit"): Action("kept"),
    ("GET", f"{_DATASET}/versions"): Action("overview"),
    ("POST", f"{_DATASET}/versions"): Action("edit", None, _REFUSED),
    ("GET", _VERSION): Action("overview"),
    ("PATCH", _VERSION): Action("edit", {"label": "x" * 257}, _REFUSED),
    ("DELETE", _VERSION): Action("edit", None, (400, 200, 200), renews=True),
    ("POST", f"{_VERSION}/undelete"): Action("edit", None, _REFUSED),
    ("POST", f"{_VERSION}/release"): Action("edit", None, (200, 200, 400), renews=True),
    ("POST", f"{_VERSION}/unrelease"): Action("edit", None, _REFUSED),
    ("PATCH", f"{_DATASET}/variables"): Action("edit", _VARIABLES, _REFUSED),
    ("GET", f"{_DATASET}/tables"): Action("overview"),
    ("POST", f"{_DATASET}/tables"): Action("edit", _NO_NAME, _REFUSED),
    ("GET", _TABLE): Action("overview"),
    ("PATCH", _TABLE): Action("edit", _NO_NAME, _REFUSED),
    ("DELETE", _TABLE): Action("edit", None, (200, 200, 400), renews=True),
    ("GET", f"{_TABLE}/variables"): Action("metadata"),
    ("PATCH", f"{_TABLE}/variables"): Action("edit", _VARIABLES, _REFUSED),
    ("GET", f"{_TABLE}/variables/{{variable}}"): Action("metadata"),
    ("PATCH", f"{_TABLE}/variables/{{variable}}"): Action(
        "edit", {"valueLabels": _SAME_VALUE_TWICE}, _REFUSED
    ),
    ("GET", f"{_TABLE}/variables/{{variable}}/statistics"): Action("metadata"),
    ("GET", f"{_TABLE}/uploads"): Action("edit"),
    ("POST", f"{_TABLE}/uploads"): Action("edit", {"name": "more", "type": "unheard of"}, _REFUSED),
    ("GET", _UPLOAD): Action("edit"),
    ("DELETE", _UPLOAD): Action("edit", None, (200, 200, 400), renews=True),
    ("GET", f"{_UPLOAD}/requests"): Action("edit"),
    ("GET", f"{_UPLOAD}/requests/{{key}}"): Action("edit"),
    ("DELETE", f"{_UPLOAD}/requests/{{key}}"): Action("edit", None, (200, 200, 400)),
    ("GET", f"{_UPLOAD}/verify"): Action("edit"),
    ("GET", f"{_UPLOAD}/variables"): Action("edit"),
    ("GET", f"{_UPLOAD}/variables/{{variable}}"): Action("edit"),
    ("GET", f"{_UPLOAD}/variables/{{variable}}/statistics"): Action("edit"),
    ("POST", f"{_UPLOAD}/rows"): Action("edit", {"rows": [{"nowhere": 1}]}, _REFUSED),
    ("GET", f"{_UPLOAD}/quarantine"): Action("edit"),
    ("DELETE", f"{_UPLOAD}/quarantine"): Action("edit"),
    # There is nothing in it.
    ("POST", f"{_UPLOAD}/quarantine/replay"): Action("edit", {}, (200, 200, 400)),
    ("GET", f"{_TABLE}/rows"): Action("data"),
    ("GET", f"{_UPLOAD}/rows"): Action("edit"),
    ("POST", f"{_TABLE}/readSessions"): Action("data", {}),
    ("POST", f"{_UPLOAD}/readSessions"): Action("edit", {}),
    ("GET", f"{API}/users/me"): Action("signed"),
    ("GET", f"{API}/users/{{owner}}"): Action("answered"),
    ("GET", f"{API}/users/{{owner}}/datasets"): Action("answered"),
    ("POST", f"{API}/users/{{owner}}/datasets"): Action("user", _NO_NAME, _REFUSED),
    ("GET", _LAB): Action("answered"),
    ("GET", f"{_LAB}/datasets"): Action("answered"),
    ("POST", f"{_LAB}/datasets"): Action("lab", _NO_NAME, _REFUSED),
    ("GET", f"{_LAB}/members"): Action("read"),
    ("GET", _MEMBER): Action("read"),
    # The only administrator of lab must stay one.
    ("PUT", _MEMBER): Action("write", {"role": "member"}, _REFUSED),
    ("DELETE", _MEMBER): Action("write", None, _REFUSED),
    ("POST", f"{_TABLE}/exports"): Action("data", {"format": "unheard of"}, _REFUSED),
    ("POST", f"{_UPLOAD}/exports"): Action("edit", {"format": "unheard of"}, _REFUSED),
    ("POST", f"{_TABLE}/downloadLinks"): Action("data", {"format": "unheard of"}, _REFUSED),
    ("POST", f"{_UPLOAD}/downloadLinks"): Action("edit", {"format": "unheard of"}, _REFUSED),
    ("POST", f"{API}/queries/{{query}}/exports"): Action("gone", {}),
    ("POST", f"{_TABLE}/tempUploads"): Action("edit", {"tempUploads": [{"size": -1}]}, _REFUSED),
    ("POST", f"{_TABLE}/resumableUpload"): Action("edit", {"size": -1}, _REFUSED),
    ("GET", f"{_TABLE}/rawFiles"): Action("data", None, _REFUSED),
    ("POST", f"{_TABLE}/rawFiles"): Action("edit", {"files": []}, _REFUSED),
    ("GET", f"{_QUERY}/rawFiles"): Action("gone"),
    ("GET", f"{API}/rawFiles/{{file}}"): Action("gone"),
    ("DELETE", f"{API}/rawFiles/{{file}}"): Action("gone"),
    ("POST", f"{API}/tempUploads/{{tempUpload}}"): Action("gone"),
    ("PUT", f"{API}/tempUploads/{{tempUpload}}"): Action("gone"),
    ("POST", f"{API}/queries"): Action("signed", {"query": " "}, _REFUSED),
    ("GET", f"{API}/queries"): Action("signed"),
    ("GET", _QUERY): Action("gone"),
    ("POST", f"{_QUERY}/cancel"): Action("gone"),
    ("POST", f"{_QUERY}/readSessions"): Action("gone", {}),
    ("GET", f"{_QUERY}/rows"): Action("gone"),
    ("GET", f"{_QUERY}/variables"): Action("gone"),
    ("GET", f"{_QUERY}/variables/{{variable}}"): Action("gone"),
    ("GET", f"{_QUERY}/variables/{{variable}}/statistics"): Action("gone"),
    ("GET", f"{API}/exports"): Action("signed"),
    ("GET", f"{API}/exports/{{export}}"): Action("gone"),
    ("DELETE", f"{API}/exports/{{export}}"): Action("gone"),
    ("GET", f"{API}/exports/{{export}}/download"): Action("gone"),
    ("POST", f"{API}/exports/{{export}}/downloadLinks"): Action("gone", {}),
    # The link that is asked for is none; a token has no bearing on it.
    ("GET", f"{API}/downloads/{{link}}/{{name}}"): Action("open", None, (404, 404, 404)),
    ("GET", f"{API}/downloads/rows/{{rowLink}}/{{name}}"): Action("open", None, (404, 404, 404)),
    ("GET", f"{API}/readStreams/{{stream}}"): Action("own"),
    ("GET", f"{API}/openAPI.json"): Action("open"),
    ("GET", f"{API}/openAPI.yaml"): Action("open"),
    ("GET", "/healthz"): Action("open"),
    ("GET", "/readyz"): Action("open"),
    ("GET", "/metrics"): Action("open"),
}

# HEAD over it asks whether an upload exists, which to who may not edit none does (contract 2.4).
EXISTENCE = ("GET", _UPLOAD)


def columns_of(text: str) -> dict[str, dict[str, str]]:
    """GRID or GATES as cells: column → caller → letters."""
    header, *lines = text.strip("\n").splitlines()
    width = max(len(caller) for caller in CALLERS) + 1
    columns = header.split()
    rows = {line[:width].strip(): line[width:].split() for line in lines}
    assert list(rows) == list(CALLERS), "a table has a row for each caller, in their order"
    assert all(len(cells) == len(columns) for cells in rows.values())
    return {
        column: {caller: cells[index] for caller, cells in rows.items()}
        for index, column in enumerate(columns)
    }


EXPECTED = columns_of(GRID)
EXPECTED_AT_GATES = columns_of(GATES)
TARGETS = tuple(EXPECTED)
DATA_ACTIONS = {route: action for route, action in ACTIONS.items() if action.need in NEEDS}
GATE_ACTIONS = {route: action for route, action in ACTIONS.items() if action.need not in NEEDS}


def may_edit(target: str, caller: str) -> bool:
    """Whether the user who calls may edit, with a token good enough for it."""
    user = CALLERS[caller][0]
    whole = next(name for name, found in CALLERS.items() if found == (user, None))
    return EXPECTED[target][whole][NEEDS.index("edit")] == "+"
