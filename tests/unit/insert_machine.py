"""The row machine's inserts: rows come in, what is answered proves them, requests are undone and asked after.

The theory is in test_row_model.py.
"""

import msgspec
import pytest
from hypothesis import strategies as some
from hypothesis.stateful import rule

from rowkeep.model.errors import ErrorCode, RowkeepError, RowsRefused
from rowkeep.model.resources import Receipt
from rowkeep.model.timing import InsertTimes
from rowkeep.services.insert.receipts import RequestState, RequestView
from rowkeep.services.insert.requests import InsertRequest
from tests.unit.row_machine import ANY, TABLES, TYPES, CatalogMachine, reference_of
from tests.unit.row_model import NUMBERS, TEXTS, Proof, Refused, Row, TypedTable, TypedUpload, inferred

# A variable for each type, and some that no upload declares; the last is one of them in other letters.
NAMES = [*(f"a_{type_}" for type_ in TYPES), "new", "more", "A_STRING"]
FITTING = {
    f"a_{type_}": [text for text, values in TEXTS.items() if type_ == "string" or type_ in values]
    + [number for number in NUMBERS if inferred(number) == type_]
    + [None]
    for type_ in TYPES
} | {"a_boolean": [True, False, None]}
VALUES = some.sampled_from([*TEXTS, *NUMBERS, True, False, None])
FITTING_ROWS = some.fixed_dictionaries(
    {}, optional={name: some.sampled_from(values) for name, values in FITTING.items()}
)
ANY_ROWS = some.dictionaries(some.sampled_from(NAMES), VALUES | some.just([1]), max_size=3).filter(
    lambda row: len({name.lower() for name in row}) == len(row)
)
ROWS = some.lists(FITTING_ROWS, max_size=9) | some.lists(FITTING_ROWS | ANY_ROWS, max_size=4)
UPDATES = some.sampled_from([None, True, False])


class InsertMachine(CatalogMachine):
    """What can be sent to uploads, and what must be answered."""

    @rule(name=TABLES, index=ANY, rows=ROWS, updates=UPDATES, has_key=some.booleans())
    def insert(self, name: str, index: int, rows: list[Row], updates: bool | None, has_key: bool) -> None:
        """Inserts rows, which may or may not fit and may or may not change the schema."""
        table, upload = self.target(name, index)
        body = msgspec.json.encode({"rows": rows} | ({} if updates is None else {"updateSchema": updates}))
        key = f"key-{next(self.numbers)}" if has_key else None
        try:
            shared = table.shared(upload, may_widen=updates is True)
            proof = upload.insert(rows, shared, may_update=upload.updates if updates is None else updates)
        except Refused:
            with pytest.raises(RowsRefused):
                self.send(table, upload, body, key)
            if key is not None:
                assert self.asked(table, upload, key).state is RequestState.REJECTED
            return
        receipt = self.send(table, upload, body, key)
        assert (proof_of(receipt), receipt.replayed) == (proof, False)
        if key is not None:
            upload.receipts[key] = body, proof

    @rule(name=TABLES, index=ANY, rows=some.lists(FITTING_ROWS, min_size=1, max_size=12), updates=UPDATES)
    def insert_what_fits(self, name: str, index: int, rows: list[Row], updates: bool | None) -> None:
        """Inserts rows at once, in the types that streams have when nothing has widened them."""
        self.insert(name, index, rows, updates=updates, has_key=True)

    @rule(name=TABLES, index=ANY, rows=some.lists(FITTING_ROWS, min_size=2, max_size=6))
    def trickle(self, name: str, index: int, rows: list[Row]) -> None:
        """Inserts rows one by one: as many entries."""
        for row in rows:
            self.insert(name, index, [row], updates=None, has_key=False)

    @rule(number=ANY, widens=some.booleans())
    def repeat(self, number: int, widens: bool) -> None:
        """Sends a request again, to the byte, even if its rows would not fit any more: the first answer."""
        sent = self.keyed_requests()
        if not sent:
            return
        table, upload, key = sent[number % len(sent)]
        if widens:
            self.make_text(table, upload)
        body, proof = upload.receipts[key]
        if key in upload.undone:
            with pytest.raises(RowkeepError) as refusal:
                self.send(table, upload, body, key)
            assert refusal.value.code is ErrorCode.CONFLICT
        else:
            receipt = self.send(table, upload, body, key)
            assert (proof_of(receipt), receipt.replayed) == (proof, True)
        with pytest.raises(RowkeepError) as refusal:
            self.send(table, upload, body + b" ", key)
        assert refusal.value.code is ErrorCode.IDEMPOTENCY_KEY_REUSED

    @rule(number=ANY)
    def undo(self, number: int) -> None:
        """Takes a request back, now and then for the second time."""
        sent = self.keyed_requests()
        if sent:
            table, upload, key = sent[number % len(sent)]
            upload.undo(key)
            receipts = self.world.receipts
            self.world.run(receipts.undo(self.owner, reference_of(table), upload.name, key))

    @rule(number=ANY)
    def ask_after(self, number: int) -> None:
        """Asks what became of a request."""
        sent = self.keyed_requests()
        if sent:
            table, upload, key = sent[number % len(sent)]
            found = self.asked(table, upload, key)
            assert found.known is not None
            assert proof_of(found.known.receipt) == upload.receipts[key][1]
            assert (found.state is RequestState.UNDONE) == (key in upload.undone)

    @rule(number=ANY, name=TABLES)
    def verify_upload(self, number: int, name: str) -> None:
        """The chain of an upload is that of all its batches, wherever they lie."""
        table, upload = self.target(name, number)
        service = self.world.receipts
        found = self.world.run(service.verify(self.owner, reference_of(table), upload.name)).outcome
        assert (found.problem, found.chain, found.state.chain) == (None, upload.chain, upload.chain)
        assert (found.state.row_count, found.state.commit_count) == (upload.row_end, upload.commit_count)

    def asked(self, table: TypedTable, upload: TypedUpload, key: str) -> RequestView:
        """What became of a request."""
        return self.world.run(self.world.receipts.find(self.owner, reference_of(table), upload.name, key))

    def keyed_requests(self) -> list[tuple[TypedTable, TypedUpload, str]]:
        """The requests with a key that went into uploads of the next version."""
        return [
            (table, upload, key)
            for table in self.next_version().tables
            for upload in table.uploads
            for key in upload.receipts
        ]

    def make_text(self, table: TypedTable, upload: TypedUpload) -> None:
        """Makes every variable a string. Without one there is nothing to widen."""
        if not upload.variables:
            return
        rows: list[Row] = [{variable.name: "0" for variable in upload.variables.values()}]
        upload.insert(rows, table.shared(upload, may_widen=True), may_update=True)
        self.send(table, upload, msgspec.json.encode({"rows": rows, "updateSchema": True}), None)

    def send(self, table: TypedTable, upload: TypedUpload, body: bytes, key: str | None) -> Receipt:
        """One insertRows."""
        request = InsertRequest(self.owner, (reference_of(table), upload.name), key)

        async def insert() -> Receipt:
            inserts = self.world.inserts
            target = inserts.kept_target(request) or await inserts.look_up_target(request)
            return await inserts.insert(request, target, body, InsertTimes(0.0))

        return self.world.run(insert())


def proof_of(receipt: Receipt) -> Proof:
    """What a receipt says beside the change of the schema."""
    assert receipt.rows_sha256 is not None
    assert receipt.chain is not None
    return Proof(receipt.row_count, receipt.commit, receipt.first_row, receipt.rows_sha256, receipt.chain)
