"""The official client's own tests, as they come with its source distribution, against a real server."""
