"""Arrow streams as tests look at them."""

import pyarrow


def arrow_batches(body: bytes) -> list[pyarrow.RecordBatch]:
    """The batches of a complete IPC stream, empty ones among them."""
    with pyarrow.ipc.open_stream(body) as reader:
        return list(reader)


def table_of(body: bytes) -> pyarrow.Table:
    """A complete Arrow stream without sentinel; no batch of it is empty."""
    assert body.endswith(b"\xff\xff\xff\xff\0\0\0\0")
    assert all(batch.num_rows for batch in arrow_batches(body))
    with pyarrow.ipc.open_stream(body) as opened:
        return opened.read_all()
