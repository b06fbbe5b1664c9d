"""Settings: what an operator can change. `compose` reads them once and passes plain values on.

Every setting is an option of `rowkeep serve` or a variable `ROWKEEP_<NAME>` in the environment, and is
described in docs/settings.md. Units and bounds stand at the end of a name.
"""

import ipaddress
import math
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

MEBIBYTE = 1024 * 1024
PORT_MAX = 65_535
# Settings that the log does not tell.
SECRETS = frozenset(("metrics_token",))
SECRET = "(set)"
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of one server, with their defaults."""

    data_dir: Path = Path("rowkeep-data")
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    log_level: str = "info"
    access_log: bool = False
    tls_certificate: str = ""
    tls_key: str = ""
    trusted_proxies: str = ""
    metrics_token: str = ""
    metrics_address: str = ""
    cors_origins: str = ""
    public_url: str = ""
    temp_upload_bytes_max: int = 64 * 1024 * MEBIBYTE
    transfer_hosts: str = ""
    transfer_seconds_max: float = 3_600.0
    body_bytes_max: int = 100 * MEBIBYTE
    compressed_body_bytes_max: int = 100 * MEBIBYTE
    body_stall_seconds_max: float = 30.0
    body_bytes_per_second_min: int = 1024
    connections_max: int = 10_000
    queue_bytes_max: int = 64 * MEBIBYTE
    queue_wait_seconds_max: float = 20.0
    group_bytes_max: int = 8 * MEBIBYTE
    readers_max: int = 4
    read_session_hours: int = 6
    read_sessions_max: int = 10_000
    read_session_bytes_max: int = 64 * MEBIBYTE
    reads_max: int = 200
    reads_per_caller_max: int = 64
    read_stall_seconds_max: float = 30.0
    followers_max: int = 50
    followers_per_caller_max: int = 25
    follow_stall_seconds_max: float = 30.0
    long_inserts_max: int = 100
    long_inserts_per_caller_max: int = 50
    long_insert_idle_seconds_max: float = 300.0
    seal_bytes_min: int = 16 * MEBIBYTE
    seal_minutes_max: float = 10.0
    journal_bytes_max: int = 1024 * MEBIBYTE
    quarantine_rows_max: int = 10_000
    quarantine_bytes_max: int = 16 * MEBIBYTE
    loads_max: int = 2
    load_memory_bytes_max: int = 1024 * MEBIBYTE
    load_seconds_max: float = 21_600.0
    load_scratch_bytes_max: int = 65_536 * MEBIBYTE
    queries_max: int = 4
    query_memory_bytes_max: int = 1024 * MEBIBYTE
    query_seconds_max: float = 300.0
    query_scratch_bytes_max: int = 16_384 * MEBIBYTE
    query_result_bytes_max: int = 4096 * MEBIBYTE
    query_threads_max: int = 2
    query_result_hours: int = 24
    exports_max: int = 2
    export_memory_bytes_max: int = 1024 * MEBIBYTE
    export_seconds_max: float = 21_600.0
    export_scratch_bytes_max: int = 65_536 * MEBIBYTE
    export_hours: int = 24
    audit_days: int = 1_095
    disk_reserve_bytes_min: int = 256 * MEBIBYTE
    token_requests_per_second_max: float = 0.0
    token_bytes_per_second_max: int = 0
    upload_requests_per_second_max: float = 0.0
    upload_bytes_per_second_max: int = 0
    rate_burst_seconds: float = 10.0
    token_asks_per_second_max: float = 500.0
    token_read_bytes_per_second_max: int = 0
    address_asks_per_second_max: float = 200.0
    address_read_bytes_per_second_max: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= PORT_MAX:
            raise ValueError(f"port must be between 0 and {PORT_MAX}")
        if self.log_level not in LOG_LEVELS:
            raise ValueError(f"log_level must be one of {', '.join(LOG_LEVELS)}")
        if self.metrics_address:
            address_of(self.metrics_address)
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("tls_certificate and tls_key go together: give both, or neither")
        for name in filter(None, map(str.strip, self.trusted_proxies.split(","))):
            _check_network(name)
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name == "port" or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            may_be_none = name.endswith("_per_second_max")  # 0 is no limit
            if not (0 < value < math.inf or (may_be_none and value == 0)):
                raise ValueError(f"{name} must be {'0 (no limit) or more' if may_be_none else 'more than 0'}")


def shown_settings(settings: Settings) -> dict[str, object]:
    """Returns the settings in force, for the log."""
    return {
        name: SECRET if name in SECRETS and getattr(settings, name) else _shown(getattr(settings, name))
        for name in Settings.__struct_fields__
    }


def _shown(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _check_network(name: str) -> None:
    try:
        ipaddress.ip_network(name)
    except ValueError as error:
        raise ValueError(f"trusted_proxies must be addresses and networks with commas: {error}") from error


def address_of(text: str) -> tuple[str, int]:
    """Returns host and port of an address such as `127.0.0.1:9090`. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) <= PORT_MAX:
        raise ValueError(f"metrics_address must be a host and a port, such as 127.0.0.1:9090, not {text!r}")
    return host.strip("[]"), int(port)


def read_settings(environment: Mapping[str, str] = os.environ, **options: object) -> Settings:
    """Settings from options (those that are not None), then the environment, then the defaults.

    Raises ValueError naming the setting that cannot be read.
    """
    values: dict[str, object] = {}
    for name in Settings.__struct_fields__:
        text = environment.get(f"ROWKEEP_{name.upper()}")
        if text is not None:
            values[name] = text
    values.update({name: value for name, value in options.items() if value is not None})
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ValueError(f"A setting cannot be read: {error}") from error


def _decode(type_: type, value: object) -> object:
    if type_ is Path:
        return Path(str(value))
    raise NotImplementedError(type_)
