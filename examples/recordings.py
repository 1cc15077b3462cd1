"""Save the recordings of calls as SITE_CALL.mp3: `python recordings.py CALLS --out FOLDER`.

Nobody of this project has tried this on a live account. Three public clients save recordings from
this address of the API, and that is all that is known of it: not what a download costs, for how
long recordings are kept, or what comes for a call that has none. Try it with one call first.

CALLS is a file with a site id and a call id in each line, such as `101,2500001`, as a query of
`site_id` and `call_id` from `stg_calltouch__calls` writes them; without it, standard input is read.
The token comes from the variable TAP_CALLTOUCH_API_TOKEN. A recording that is in the folder is not
asked for again. The exit code is 1 if any could not be saved; run it again for those.
"""  # noqa: INP001 - a script that stands alone

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

API_URL = "https://api.calltouch.ru/calls-service/RestAPI"
PAUSE = 0.25  # the API takes five calls a second of one address, whoever makes them
WAITS = (2, 4, 8)  # seconds between tries


def read_calls(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the site and the call of each line that has two numbers; others must be headings."""
    for number, line in enumerate(lines, start=1):
        fields = re.findall(r"[^\s,;|]+", line)
        if len(fields) == 2 and all(field.isdecimal() for field in fields):
            yield fields[0], fields[1]
        elif fields and number > 1:
            sys.exit(f"Line {number} is not a site id and a call id.")


def download(session: requests.Session, url: str, token: str) -> bytes | None:
    """Return a recording; None if the call has none.

    Raises:
        ValueError: If it cannot be had; the message does not show the address, which has the token.
    """
    problem = ""
    for wait in (*WAITS, 0):
        time.sleep(PAUSE)
        try:
            answer = session.get(url, params={"clientApiId": token}, timeout=60)
        except requests.RequestException as error:
            problem = type(error).__name__
        else:
            status, content = answer.status_code, answer.content
            if status in {204, 404} or (status == 200 and not content):
                return None
            if status == 200 and content.lstrip()[:1] not in {b"<", b"{"}:
                return content
            problem = f"the API answered {status}, and no recording"
            if status != 429 and status < 500:
                break
            after = answer.headers.get("Retry-After", "")
            time.sleep(int(after) if wait and after.isdecimal() else 0)
        time.sleep(wait)
    raise ValueError(problem)


def save(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)


def main() -> None:
    """Save what is not there yet, and count."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("calls", nargs="?", type=argparse.FileType(encoding="utf-8"), default="-")
    parser.add_argument("--out", type=Path, default=Path("recordings"))
    arguments = parser.parse_args()
    token = os.environ.get("TAP_CALLTOUCH_API_TOKEN", "").strip()
    if not token:
        parser.error("TAP_CALLTOUCH_API_TOKEN is not set")
    base = os.environ.get("TAP_CALLTOUCH_API_URL", API_URL).rstrip("/")
    arguments.out.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    with requests.Session() as session:
        for site, call in read_calls(arguments.calls):
            path = arguments.out / f"{site}_{call}.mp3"
            if path.exists():
                counts["there already"] += 1
                continue
            try:
                recording = download(
                    session, f"{base}/{site}/calls-diary/calls/{call}/download", token
                )
            except ValueError as error:
                counts["failed"] += 1
                print(f"{site} {call}: {error}", file=sys.stderr)
                continue
            if recording is None:
                counts["without a recording"] += 1
            else:
                save(path, recording)
                counts["saved"] += 1
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()) or "no calls")
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
