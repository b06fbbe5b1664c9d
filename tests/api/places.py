"""Something for every path of the API to name; raw HTTP, nothing of rowkeep imported."""

from tests.api.exporting import export
from tests.api.publishing import Publication
from tests.server_process import ServerProcess


class Places:
    """What the paths name; whatever was deleted is made again."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._publication: Publication | None = None
        self._parameters: dict[str, str] = {}

    def of(self, path: str) -> dict[str, str]:
        """What fits into the parameters of a path."""
        if self._publication is None:
            self._prepare()
        parameters = {**self._parameters, "owner": self._server.user}
        if "/organizations/" in path:
            parameters["owner"] = self._server.organization
        if path.endswith("/rawFiles"):
            parameters["table"] = self._parameters["fileTable"]
        return {name: value for name, value in parameters.items() if f"{{{name}}}" in path}

    def forget(self) -> None:
        """Something was changed so that the next request may not find it."""
        if self._publication is not None:
            self._publication.close()
            self._publication = None

    def _prepare(self) -> None:
        made = Publication(self._server, public_access_level="overview")
        made.publish("answers", "first", [{"a": 1, "b": "x"}])
        made.done("POST", f"{made.dataset()}/versions")
        upload = made.add_upload("answers", "live", [{"a": 2}, {"c": 2.5}])
        keyed = {"Idempotency-Key": "k"}
        made.client.post(f"{upload['uri']}/rows", json={"rows": [{"a": 3}]}, headers=keyed).raise_for_status()
        session = made.done("POST", f"{made.table('answers')}/readSessions", {})
        made.done("PUT", f"{made.dataset()}/access/grace", {"accessLevel": "overview"})
        made.done("PUT", f"/organizations/{self._server.organization}/members/grace", {})
        found = export(made, made.table("answers"))
        link = made.done("POST", f"{found['uri']}/downloadLinks", {})
        rows = made.done("POST", f"{made.table('answers')}/downloadLinks", {})
        sent = made.done("POST", f"{made.table('answers')}/tempUploads", {"tempUploads": [{}]})
        files = made.add_table("files", isFileIndex=True)["uri"]
        draft = made.done("POST", f"{files}/tempUploads", {"tempUploads": [{}]})["results"][0]
        made.client.put(draft["url"], content=b"a photo").raise_for_status()
        added = made.done(
            "POST", f"{files}/rawFiles", {"files": [{"name": "a.png", "tempUploadId": draft["id"]}]}
        )
        self._publication = made
        self._parameters = {
            "dataset": f"{made.reference}:{made.created['referenceId']}:next",
            "version": "next",
            "table": upload["uri"].split("/")[2],
            "upload": "live",
            "variable": "a",
            "key": "k",
            "stream": session["streams"][0]["id"],
            "query": made.done("POST", "/queries", {"query": "SELECT 1 AS a, 'none' AS file_id"})["id"],
            "export": found["id"],
            "tempUpload": sent["results"][0]["id"],
            "link": link["url"].split("/")[-2],
            "rowLink": rows["url"].split("/")[-2],
            "name": "rows.csv",
            "grantee": "grace",
            "user": "grace",
            "fileTable": files.split("/")[2],
            "file": added["results"][0]["id"],
        }
