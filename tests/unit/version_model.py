"""What a dataset's versions ought to hold, computed in the plainest way: each keeps its own lists."""

from dataclasses import dataclass, field
from itertools import count

Row = dict[str, int | str]
Tag = tuple[int, int]

_identities = count(1)


@dataclass
class ModelUpload:
    """An upload and its rows as they were sent; `declared` are the variables that it began with."""

    name: str
    declared: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    identity: int = field(default_factory=lambda: next(_identities))
    is_deleted: bool = False


def types_of(uploads: list[ModelUpload]) -> dict[str, str]:
    """The variables of uploads: whatever was ever a text is one."""
    types: dict[str, str] = {}
    for upload in uploads:
        said = [upload.declared.items()]
        said += [[(name, type_of(value)) for name, value in row.items()] for row in upload.rows]
        for name, type_ in (pair for pairs in said for pair in pairs):
            types[name] = "string" if "string" in (type_, types.get(name)) else "integer"
    return types


def type_of(value: int | str) -> str:
    """The type that a value gives its variable."""
    return "string" if isinstance(value, str) else "integer"


@dataclass
class ModelTable:
    """A table of one version; `identity` is the same in every version."""

    name: str
    strategy: str = "append"
    parent: "ModelTable | None" = None
    identity: int = field(default_factory=lambda: next(_identities))
    uploads: list[ModelUpload] = field(default_factory=list)

    def content(self) -> list[ModelUpload]:
        """The uploads whose rows it shows."""
        keeps = self.strategy == "append" or not self.uploads
        before = self.parent.content() if self.parent is not None and keeps else []
        return [*before, *self.uploads]

    def types(self) -> dict[str, str]:
        """Its variables."""
        return types_of(self.content())

    def rows(self) -> list[Row]:
        """Its rows as a reader sees them."""
        types = self.types()
        return [
            {name: str(value) if types[name] == "string" else value for name, value in row.items()}
            for upload in self.content()
            for row in upload.rows
        ]

    def upload(self, name: str) -> ModelUpload | None:
        """Its own upload of a name."""
        return next((upload for upload in self.uploads if upload.name == name), None)

    def state(self) -> tuple[object, ...]:
        """What makes it differ from the version before."""
        held = [upload for upload in self.content() if upload.rows]
        is_all = types_of(held) == self.types()
        rows = [(upload.identity, len(upload.rows)) for upload in held]
        return self.name, rows, None if is_all else self.types()


@dataclass
class ModelVersion:
    """A version; `tag` is None while it is unreleased."""

    position: int
    tables: list[ModelTable]
    tag: Tag | None = None
    is_hidden: bool = False
    base: "ModelVersion | None" = None

    @property
    def text(self) -> str:
        """The tag as it is written."""
        return "next" if self.tag is None else f"v{self.tag[0]}.{self.tag[1]}"

    def table(self, name: str) -> ModelTable | None:
        """Its table of a name."""
        return next((table for table in self.tables if table.name == name), None)

    def states(self) -> dict[int, tuple[object, ...]]:
        """What makes it differ from the version before, by table."""
        return {table.identity: table.state() for table in self.tables}

    def breaks(self, before: "ModelVersion") -> bool:
        """Whether something that the version before had is gone or another."""
        now = {table.identity: table for table in self.tables}
        for table in before.tables:
            after = now.get(table.identity)
            if after is None or after.name != table.name:
                return True
            types = after.types()
            if any(types.get(name) != type_ for name, type_ in table.types().items()):
                return True
        return False


@dataclass
class ModelDataset:
    """A dataset as its versions, oldest first. Each `may_…` says whether something ought to be possible."""

    versions: list[ModelVersion]
    positions: int = 1

    def seen(self) -> list[ModelVersion]:
        """The versions that can be read."""
        return [version for version in self.versions if not version.is_hidden]

    @property
    def next(self) -> ModelVersion | None:
        """The unreleased version."""
        return next((version for version in self.versions if version.tag is None), None)

    @property
    def current(self) -> ModelVersion | None:
        """The latest released version that is not deleted."""
        return next((version for version in reversed(self.seen()) if version.tag is not None), None)

    def named(self, tag: str) -> ModelVersion | None:
        """The version that a reference with this tag names, without a tag the current or the next."""
        if tag == "":
            return self.current or self.next
        if tag == "current":
            return self.current
        return next((version for version in self.seen() if version.text == tag), None)

    def before(self, version: ModelVersion) -> ModelVersion | None:
        """The version before one that can be read."""
        earlier = [one for one in self.seen() if one.position < version.position]
        return earlier[-1] if earlier else None

    def may_release(self) -> bool:
        """Whether the next version holds something new."""
        if self.next is None:
            return False
        before = self.before(self.next)
        return before is None or self.next.states() != before.states()

    def next_tag(self, version: ModelVersion) -> Tag:
        """The tag that the release of a version gives."""
        given = [one.tag for one in self.versions if one.tag is not None]
        if not given:
            return 1, 0
        major, minor = max(given)
        before = self.before(version)
        is_major = before is None or version.breaks(before)
        return (major + 1, 0) if is_major else (major, minor + 1)

    def may_unrelease(self, version: ModelVersion) -> bool:
        """Whether it is current and nothing came after it."""
        return version is self.current and version is self.versions[-1]

    def may_delete(self, version: ModelVersion) -> bool:
        """Whether another one is left."""
        return not version.is_hidden and len(self.seen()) > 1

    def may_undelete(self, version: ModelVersion) -> bool:
        """Whether the next version then holds the rows of the current one."""
        is_current = self.current is None or self.current.position < version.position
        return self.next is None or self.next.base is version or not is_current

    def add_next(self) -> None:
        """The next version, with the tables of the current one."""
        assert self.current is not None
        tables = [
            type(table)(table.name, table.strategy, parent=table, identity=table.identity)
            for table in self.current.tables
        ]
        self.positions = self.versions[-1].position + 1
        self.versions.append(ModelVersion(self.positions, tables, base=self.current))

    def continue_streams(self) -> None:
        """The next version, with the streams of the current one's own."""
        self.add_next()
        assert self.next is not None
        for table in self.next.tables:
            assert table.parent is not None
            table.uploads = [ModelUpload(upload.name, types_of([upload])) for upload in table.parent.uploads]
