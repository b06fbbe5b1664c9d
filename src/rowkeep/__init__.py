"""rowkeep: stream rows into typed tables over HTTP, durable on 201."""

__version__ = "0.1.0"
