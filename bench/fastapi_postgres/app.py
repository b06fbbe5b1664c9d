"""What a good engineer would write today: FastAPI, a pydantic model, asyncpg, PostgreSQL.

One INSERT ... SELECT FROM unnest(...) a request, which is one transaction and one fsync
(synchronous_commit is on). DSN names the database. Run by bench/run under uvicorn.
"""

import datetime
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict

CREATE = """
CREATE TABLE IF NOT EXISTS measurements (
    site text, count bigint, temperature double precision, valid boolean, day date,
    measured_at timestamp, local_time time, position text
)
"""
INSERT = """
INSERT INTO measurements
SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::double precision[], $4::boolean[], $5::date[], $6::timestamp[],
    $7::time[], $8::text[]
)
"""


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    site: str | None = None
    count: int | None = None
    temperature: float | None = None
    valid: bool | None = None
    day: datetime.date | None = None
    measured_at: datetime.datetime | None = None
    local_time: datetime.time | None = None
    position: str | None = None


class Rows(BaseModel):
    rows: list[Row]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DSN"], min_size=8, max_size=16) as pool:
        await pool.execute(CREATE)
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/rows", status_code=201)
async def insert_rows(body: Rows, request: Request) -> dict[str, int]:
    columns = [
        [getattr(row, name) for row in body.rows]
        for name in ("site", "count", "temperature", "valid", "day", "measured_at", "local_time", "position")
    ]
    await request.app.state.pool.execute(INSERT, *columns)
    return {"rowsAdded": len(body.rows)}
