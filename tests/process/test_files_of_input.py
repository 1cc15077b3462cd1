"""What a user's machine does to files, streams and texts is one sentence and exit code 1."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault
from tap_calltouch.config.files import InputError
from tap_calltouch.tap import TapCalltouch
from tests.support.streams import MOSCOW, REQUESTS, STREAMS, lines_with
from tests.support.tap import Run, config_for, run_tap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox import Sandbox
    from tests.support.streams import Stream

each_stream = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
ROOT = Path(__file__).parents[2]
ONE_DAY: dict[str, Any] = {"start_date": "2024-01-08", "end_date": "2024-01-08"}
JANUARY_8 = datetime(2024, 1, 8, tzinfo=MOSCOW)


def run(
    *arguments: str,
    folder: Path,
    line: str = 'exec "$@"',
    environment: Mapping[str, str | bytes] | None = None,
) -> Run:
    """Run the tap in a folder, as a line of shell has it.

    Not forked: its streams, its limits and its locale are like that from the very start.
    """
    command = ["sh", "-c", line, "sh", sys.executable, "-m", "tap_calltouch", *arguments]
    variables = {name: text for name, text in os.environ.items() if not name.startswith("TAP_")}
    process = subprocess.run(
        command,
        cwd=folder,
        env={**variables, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return Run(process.returncode, process.stdout, process.stderr.decode())


def only_error(found: Run) -> str:
    """Return the one sentence with which a run failed."""
    assert found.returncode == 1, found.stderr
    assert "Traceback" not in found.stderr
    assert "Exception ignored" not in found.stderr
    return found.stderr.splitlines()[-1]


# Files.


def missing(_: Path) -> None:
    """Do not make the file."""


def unreadable(path: Path) -> None:
    """Refer to a file that cannot be read, not even by root."""
    path.symlink_to("/proc/self/mem")


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (missing, "cannot be read: No such file or directory"),
    "a folder": (Path.mkdir, "cannot be read: Is a directory"),
    "unreadable": (unreadable, "cannot be read: Input/output error"),
    "a file as a folder": (
        lambda path: path.symlink_to("/dev/null/file"),
        "cannot be read: Not a directory",
    ),
    "null": (lambda path: path.write_text("null"), "does not hold a JSON object"),
    "a list": (lambda path: path.write_text("[]"), "does not hold a JSON object"),
    "empty": (lambda path: path.write_text(""), "is not JSON"),
    "half": (lambda path: path.write_text('{"api_token": '), "is not JSON"),
    "YAML": (lambda path: path.write_text("api_token: x"), "is not JSON"),
    "nested too deeply": (lambda path: path.write_text("[" * 200_000), "is nested too deeply"),
    "NaN": (lambda path: path.write_text('{"x": NaN}'), "is not JSON: NaN is not a number of JSON"),
    "UTF-16": (
        lambda path: path.write_text('{"subject": "окна"}', encoding="utf-16"),
        "is not text in UTF-8",
    ),
    "cp1251": (
        lambda path: path.write_text('{"subject": "окна"}', encoding="cp1251"),
        "is not text in UTF-8",
    ),
    "UTF-16 without a mark": (
        lambda path: path.write_text('{"subject": "windows"}', encoding="utf-16-le"),
        "is not JSON",
    ),
}


@pytest.mark.parametrize(("make", "problem"), FILES.values(), ids=FILES)
def test_file_that_cannot_be_used_is_one_sentence_that_names_it(
    sandbox: Sandbox, tmp_path: Path, make: Callable[[Path], object], problem: str
) -> None:
    for label in ("config", "state", "catalog"):
        path = tmp_path / f"a {label} окна.json"
        make(path)
        found = run_tap(config_for(sandbox), tmp_path, arguments=[f"--{label}", str(path)])
        line = only_error(found)
        assert " | ERROR " in line
        assert f"The {label} file {path} {problem}" in line
    assert sandbox.calls == []


def test_file_with_a_byte_order_mark_is_read(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "more.json").write_text('{"subject": "Заявка"}', encoding="utf-8-sig")
    config = config_for(sandbox, site_ids=[101], **ONE_DAY)
    state = b"\xef\xbb\xbf{}"
    found = run_tap(config, tmp_path, state=state, arguments=["--config", f"{tmp_path}/more.json"])
    assert found.returncode == 0, found.stderr
    assert {call.params.get("subject") for call in sandbox.calls} == {"Заявка", None}


def test_file_may_come_from_standard_input(config: str, tmp_path: Path) -> None:
    state = REQUESTS.state("2024-01-08T09:00:00.000+00:00")
    (tmp_path / "state.json").write_text(json.dumps(state), encoding="utf-8")
    arguments = ("--config", config, "--state", "-")
    found = run(*arguments, folder=tmp_path, line='cat state.json | "$@"')
    assert found.returncode == 0, found.stderr
    assert "(bookmark 2024-01-08T09:00:00.000+00:00, " in found.stderr


@pytest.mark.parametrize("label", ["config", "state", "catalog"])
def test_file_that_a_program_names_is_read_like_that_of_an_option(
    tmp_path: Path, label: str
) -> None:
    path = str(tmp_path / "missing.json")
    good = {"api_token": "x", "start_date": "2024-01-01"}
    files: dict[str, Any] = {"config": good, label: path}
    sentence = f"The {label} file {path} cannot be read: No such file or directory."
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        TapCalltouch(**files)


def test_later_ones_of_the_files_that_a_program_names_overrule(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text('{"api_token": "x", "start_date": "2024-01-01", "window_days": 3}')
    second.write_text('{"window_days": 5}')
    found = TapCalltouch(config=[first, second]).config
    assert (found["start_date"], found["window_days"]) == ("2024-01-01", 5)


def catalog_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"streams": [{"tap_stream_id": "requests", "schema": schema}]}


def catalog_with(schema: Any = None, **entry: Any) -> dict[str, Any]:
    """Return a catalog with one column and one entry."""
    catalog = catalog_of({"type": "object", "properties": {"orders": schema or {}}})
    catalog["streams"][0] |= entry
    return catalog


METADATA = "The catalog's metadata of stream requests must be a list of objects, each with a"


@pytest.mark.parametrize(
    ("catalog", "problem"),
    [
        ({}, "The catalog has no list of `streams`."),
        ({"streams": {}}, "The catalog has no list of `streams`."),
        ({"streams": [5]}, "Each stream of a catalog needs a `tap_stream_id` and a `schema`."),
        ({"streams": [{"tap_stream_id": "requests"}]}, "needs a `tap_stream_id` and a `schema`."),
        ({"streams": [{"schema": {}}]}, "needs a `tap_stream_id` and a `schema`."),
        (catalog_of({"properties": 5}), "The catalog holds 5 as properties of requests, not an"),
        (
            catalog_with({"items": {"properties": {"sum": "text"}}}),
            'The catalog holds "text" as schema of requests.orders[].sum, not an object.',
        ),
        (
            catalog_with({"items": []}),
            "The catalog holds [] as schema of requests.orders[], not an object.",
        ),
        (
            catalog_with({"items": 1.5}),
            'The catalog holds "1.5" as schema of requests.orders[], not an object.',
        ),
        (
            catalog_with({"type": "object", "additionalProperties": {"properties": 5}}),
            "The catalog holds 5 as properties of requests.orders.*, not an object.",
        ),
        (
            catalog_with(stream="заявки"),
            'The catalog calls stream requests "заявки". Use `__alias__`',
        ),
        (catalog_with(metadata=None), METADATA),
        (catalog_with(metadata=[None]), METADATA),
        (catalog_with(metadata=[{"metadata": {"selected": True}}]), METADATA),
        (catalog_with(metadata=[{"breadcrumb": [], "metadata": {}}, None]), METADATA),
        (catalog_with(metadata=[{"breadcrumb": []}]), METADATA),
        (catalog_with(metadata=[{"breadcrumb": None, "metadata": {}}]), METADATA),
        (catalog_with(metadata=[{"breadcrumb": [[]], "metadata": {}}]), METADATA),
        (catalog_with(metadata=[{"breadcrumb": [], "metadata": None}]), METADATA),
        (catalog_with(metadata=[{"breadcrumb": [1.5], "metadata": {}}]), METADATA),
        (catalog_with(replication_method=5), "the replication method 5 of stream requests"),
        (catalog_with({"type": [{}]}), "type of requests.orders is [{}], not a text"),
        (
            catalog_with({"type": 1.5}),
            'type of requests.orders is "1.5", not a text',
        ),
        (catalog_with({"type": [5] * 99}), f"is {str([5] * 99)[:80]}, not a text"),
    ],
)
def test_catalog_that_is_none_is_one_sentence(
    sandbox: Sandbox, tmp_path: Path, catalog: object, problem: str
) -> None:
    found = run_tap(config_for(sandbox), tmp_path, catalog=catalog)
    assert problem in only_error(found)
    assert sandbox.calls == []


# Standard output.


@pytest.fixture
def config(sandbox: Sandbox, tmp_path: Path) -> str:
    """The path of a good config."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config_for(sandbox, site_ids=[101], **ONE_DAY)))
    return str(path)


@pytest.mark.parametrize("command", [[], ["--discover"], ["--about"], ["--about", "--format=json"]])
@pytest.mark.parametrize(
    ("shell", "problem"),
    [
        ('exec "$@" > /dev/full', "No space left on device"),
        ('exec "$@" >&-', "closed"),
    ],
    ids=["full", "closed"],
)
def test_output_that_takes_nothing_is_one_sentence(
    config: str, tmp_path: Path, command: list[str], shell: str, problem: str
) -> None:
    found = run("--config", config, *command, folder=tmp_path, line=shell)
    line = only_error(found)
    assert re.search("output cannot be written.*: ", line, re.IGNORECASE)
    assert problem in line


def test_output_that_nobody_reads_ends_quietly(config: str, tmp_path: Path) -> None:
    shell = '{ "$@"; echo $? >&2; } | true'
    found = run("--config", config, folder=tmp_path, line=shell)
    assert found.stderr.splitlines()[-1] == "1"
    assert "Traceback" not in found.stderr
    assert "Exception ignored" not in found.stderr


# Temporary files.


def large_body(stream: Stream, size: int) -> bytes:
    """Return an answer of exactly this size with one record in it."""
    record = stream.record(1, JANUARY_8, city="")
    answer: Any = [record]
    if stream is not REQUESTS:
        answer = {"page": 1, "pageTotal": 1, "recordsTotal": 1, "records": [record]}
    body = json.dumps(answer)
    return body.replace('"city": ""', f'"city": "{"x" * (size - len(body))}"').encode()


SIZE = 6 << 20
#: A line of shell that limits the size of files. Coverage has one to write, too.
LIMIT = 'unset COVERAGE_PROCESS_CONFIG; ulimit -f {}; exec "$@"'
BLOCK = 512  # what it counts in, by POSIX


@each_stream
@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        (0, "No usable temporary directory"),
        (2048, "File too large"),
        (SIZE // BLOCK, "File too large"),
    ],
    ids=["no room at all", "room for some", "room for all but the end"],
)
def test_temporary_folder_without_room_is_one_sentence(
    stream: Stream, tmp_path: Path, blocks: int, problem: str
) -> None:
    catalog = tmp_path / "catalog.json"
    catalog.write_text(json.dumps(stream.catalog))
    with stream.sandbox([]) as sandbox:
        sandbox.faults.append(Fault("body", body=large_body(stream, SIZE + 100)))
        config = tmp_path / "config.json"
        config.write_text(json.dumps(config_for(sandbox, site_ids=[101], **ONE_DAY)))
        found = run(
            *("--config", str(config), "--catalog", str(catalog)),
            folder=tmp_path,
            line=LIMIT.format(blocks),
        )
        calls = len(sandbox.calls)
    line = only_error(found)
    assert f"Stream {stream.name}, site 101, window 2024-01-08 to 2024-01-08: " in line
    assert problem in line
    size = re.search("the temporary folder cannot hold the answer, ([0-9]+) bytes so far", line)
    assert size
    assert int(size[1]) > blocks * BLOCK
    assert "Set TMPDIR to a folder with more room." in line
    assert calls == 1


@each_stream
def test_temporary_folder_with_room_holds_a_large_answer(stream: Stream, tmp_path: Path) -> None:
    with stream.sandbox([]) as sandbox:
        sandbox.faults.append(Fault("body", body=large_body(stream, SIZE + 100)))
        found = stream.run(sandbox, tmp_path, **ONE_DAY)
    assert found.returncode == 0
    assert stream.keys(found.records) == [(101, 1)]


# Texts.

NO_UTF_8 = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_machine_without_utf_8_asks_for_russian_words(sandbox: Sandbox, tmp_path: Path) -> None:
    """From the environment, a file and a `.env` file; with their error messages."""
    config = config_for(sandbox, site_ids=[101], subject="Заявка", **ONE_DAY)
    (tmp_path / "config.json").write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")
    (tmp_path / ".env").write_text("TAP_CALLTOUCH_MANAGER=Вася\n", encoding="utf-8")
    environment = {**NO_UTF_8, "TAP_CALLTOUCH_CITY": "Москва"}
    arguments = ("--config", "config.json", "--config", "ENV")
    found = run(*arguments, folder=tmp_path, environment=environment)
    assert found.returncode == 0, found.stderr
    asked = next(call.params for call in sandbox.calls if call.journal == "requests")
    assert (asked["subject"], asked["city"], asked["manager"]) == ("Заявка", "Москва", "Вася")


def test_machine_without_utf_8_says_what_is_wrong(sandbox: Sandbox, tmp_path: Path) -> None:
    config = config_for(sandbox, bind_to="Заявка")
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = run("--config", "config.json", folder=tmp_path, environment=NO_UTF_8)
    only_error(found)
    assert "Setting `bind_to` must be one of request, session, not" in found.stderr


@pytest.mark.parametrize("name", ["subject", "api_token"])
@pytest.mark.parametrize("environment", [{}, NO_UTF_8], ids=["UTF-8", "no UTF-8"])
def test_setting_in_another_encoding_is_one_sentence(
    config: str, tmp_path: Path, environment: dict[str, str], name: str
) -> None:
    setting = {f"TAP_CALLTOUCH_{name.upper()}": "Заявка".encode("cp1251")}
    arguments = ("--config", config, "--config", "ENV")
    found = run(*arguments, folder=tmp_path, environment={**environment, **setting})
    only_error(found)
    assert f"Setting `{name}` is not text in UTF-8." in found.stderr


def test_half_a_character_in_a_config_is_one_sentence(sandbox: Sandbox, tmp_path: Path) -> None:
    found = run_tap(config_for(sandbox, city="\ud83d"), tmp_path)
    only_error(found)
    assert "Setting `city` is not text in UTF-8." in found.stderr


# Settings, from files as people write them.


def test_settings_as_people_write_them_are_understood(sandbox: Sandbox, tmp_path: Path) -> None:
    config = config_for(sandbox, **ONE_DAY) | {"site_ids": 101, "window_days": "7"}
    config["api_token"] = f" {sandbox.token}\r\n"
    found = run_tap(config, tmp_path)
    assert found.returncode == 0, found.stderr
    assert {call.params["clientApiId"] for call in sandbox.calls} == {sandbox.token}
    assert {call.params.get("siteId", "101") for call in sandbox.calls} == {"101"}


def test_misspelt_settings_are_named_with_the_nearest(sandbox: Sandbox, tmp_path: Path) -> None:
    config = config_for(sandbox, site_ids=[101], **ONE_DAY, site_id=5, windows_days=90)
    found = run_tap(config, tmp_path)
    assert found.returncode == 0, found.stderr
    for name, near in (("site_id", "site_ids"), ("windows_days", "window_days")):
        sentence = f"The tap has no setting `{name}`; it is ignored. Did you mean `{near}`?"
        assert len(lines_with(found, " | WARNING ", sentence)) == 1


def test_zones_need_no_database_of_the_system(config: str, tmp_path: Path) -> None:
    found = run("--config", config, folder=tmp_path, environment={"PYTHONTZPATH": ""})
    assert found.returncode == 0, found.stderr


BATCH = {"encoding": {"format": "jsonl", "compression": "gzip"}}


@pytest.mark.parametrize("root", ["file", "file/folder"])
def test_batch_files_that_cannot_be_written_are_one_sentence(
    sandbox: Sandbox, tmp_path: Path, root: str
) -> None:
    (tmp_path / "file").touch()
    batch_config = {**BATCH, "storage": {"root": f"file://{tmp_path}/{root}"}}
    config = config_for(sandbox, site_ids=[101], batch_config=batch_config, **ONE_DAY)
    line = only_error(run_tap(config, tmp_path))
    assert str(tmp_path / root) in line


def test_batch_storage_without_its_library_is_one_sentence(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    batch_config = {**BATCH, "storage": {"root": "gdrive://folder"}}
    config = config_for(sandbox, site_ids=[101], batch_config=batch_config, **ONE_DAY)
    run = run_tap(config, tmp_path)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert "`batch_config.storage.root` cannot be used: Please install gdrive" in run.stderr
    assert not sandbox.calls


def test_file_of_variables_in_another_encoding_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("TAP_CALLTOUCH_SUBJECT=Заявка", encoding="cp1251")
    line = only_error(run("--config", "ENV", folder=tmp_path))
    assert f"The file {path} is not text in UTF-8." in line


def test_full_folder_of_batch_files_is_named_and_nothing_half_is_left(tmp_path: Path) -> None:
    """A file of 2 KB is as large as any may be, so each is too large while it is written."""
    folder = tmp_path / "batches"
    batches = {"encoding": {"format": "jsonl"}, "storage": {"root": folder.as_uri()}}
    with REQUESTS.sandbox(per_day=50) as sandbox:
        config = config_for(sandbox, batch_config=batches)
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        found = run("--config", "config.json", folder=tmp_path, line=LIMIT.format(4))
    sentence = f"Stream requests: cannot write to {folder.as_uri()}: File too large."
    assert only_error(found).endswith(sentence)
    assert not [*folder.iterdir()]
    assert b'"BATCH"' not in found.stdout
