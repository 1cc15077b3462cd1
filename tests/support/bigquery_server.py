"""BigQuery's REST interface by local-bigquery, with what its clients need beside it.

Run as `python bigquery_server.py FOLDER` with an interpreter that has local-bigquery. It writes
`key.json`, the key file of a service account, into the folder, prints its own address and serves
until it is terminated. Project `refused` may make tables, and none of its rows is taken.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from duckdb_extensions import import_extension
from fastapi.responses import JSONResponse
from local_bigquery import app
from local_bigquery.settings import settings

# DuckDB would download them. They go where the variable HOME says.
EXTENSIONS = ("ducklake", "icu", "json", "spatial")


def token() -> dict[str, Any]:
    """Let in every service account."""
    return {"access_token": "any", "expires_in": 3600, "token_type": "Bearer"}


async def serve(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request, and do what local-bigquery leaves out."""
    path = scope.get("path", "")
    answer = None
    if "/projects/refused/" in path and path.startswith("/upload/"):
        reasons = [{"reason": "accessDenied"}]
        error = {"code": 403, "errors": reasons, "message": "Access Denied"}
        answer = JSONResponse({"error": error}, 403)
    elif "/projects/refused/" in path and path.endswith("/insertAll"):
        errors = [{"index": 0, "errors": [{"reason": "invalid"}]}]
        answer = JSONResponse({"insertErrors": errors})
    elif path.startswith("/upload/") and scope["method"] == "PUT":
        # The service finds out by itself that a file is compressed, as the target's files are.
        scope["headers"].append((b"content-encoding", b"gzip"))
    await (answer or app)(scope, receive, send)


def write_key(path: Path, url: str) -> None:
    """Write the key file of a service account that gets its tokens here."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "client_email": "tap-calltouch@local.iam.gserviceaccount.com",
        "private_key": key.decode(),
        "token_uri": f"{url}/token",
    }
    path.write_text(json.dumps(account), encoding="utf-8")


def main() -> None:
    """Serve until terminated."""
    for extension in EXTENSIONS:
        import_extension(extension)
    app.add_api_route("/token", token, methods=["POST"])
    folder = Path(sys.argv[1])
    settings.data_dir = folder / "data"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        write_key(folder / "key.json", url)
        print(url, flush=True)
        uvicorn.Server(uvicorn.Config(serve, log_level="warning")).run([listener])


if __name__ == "__main__":
    main()
