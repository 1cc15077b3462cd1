"""The Singer SDK's own tests of a tap, against the sandbox, and what the tap takes from the SDK."""

from __future__ import annotations

import ast
import inspect
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.singerlib.catalog import Catalog
from singer_sdk.testing import SuiteConfig, get_tap_test_class

import tap_calltouch
from sandbox import Journal, Sandbox
from tap_calltouch.api.client import Pace
from tap_calltouch.config.settings import SETTINGS
from tap_calltouch.tap import TapCalltouch
from tests.support.tap import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG: dict[str, Any] = {
    "api_token": TOKEN,
    "site_ids": [101, 202],
    "start_date": "2024-01-01",
    "end_date": "2024-01-31",
    **{name: True for name in SETTINGS["properties"] if name.startswith("with_")},
}

# The tests of attributes keep the values of the first field of a kind, and look at these for all
# others of the kind. `test_sync` checks every value against the schema.
_TapTests = get_tap_test_class(
    TapCalltouch,
    config=CONFIG,
    include_stream_attribute_tests=False,
    suite_config=SuiteConfig(max_records_limit=None, ignore_no_records=False),
)


class TestTapCalltouch(_TapTests):  # type: ignore[misc, valid-type]
    """The tests that the SDK makes for the tap and its streams."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _sandbox(cls) -> Iterator[None]:
        journal = Journal((101, 202), date(2024, 1, 1), date(2024, 1, 31), per_day=5)
        calls = journal.calls(per_day=5)
        with (
            Sandbox(journal, calls, token=TOKEN, per_second=10_000) as sandbox,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(Pace, "MARGIN", 0.0)
            CONFIG["api_url"] = sandbox.url
            yield


del _TapTests


def test_catalog_may_be_an_object_of_the_sdk() -> None:
    catalog = TapCalltouch(config=CONFIG).catalog
    assert isinstance(catalog, Catalog)
    catalog["calls"].metadata.root.selected = False
    streams = TapCalltouch(config=CONFIG, catalog=catalog).streams
    assert [name for name, stream in streams.items() if stream.selected] == ["requests"]


# Private names of the SDK.

PACKAGE = Path(tap_calltouch.__file__).parent
TREES = {
    path.relative_to(PACKAGE).with_suffix(""): ast.parse(path.read_text(encoding="utf-8"))
    for path in PACKAGE.rglob("*.py")
}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in {"_", "_abc_impl"}


def own_names(tree: ast.AST) -> set[str]:
    """Return the private names that code defines: functions, classes and attributes."""
    return {
        name
        for node in ast.walk(tree)
        for name in (
            *([node.name] if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else []),
            *(
                [node.attr]
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
                else []
            ),
            *([node.id] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else []),
        )
        if is_private(name)
    }


def names_of(cls: type) -> set[str]:
    """Return the private names of a class, those that its methods set included."""
    source = inspect.cleandoc("\n" + inspect.getsource(cls))
    return own_names(ast.parse(source)) | set(filter(is_private, vars(cls)))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of everything that is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def looked_up(tree: ast.AST) -> Iterator[str]:
    """Yield the name of each attribute that is looked up, by a dot or by `getattr` and its like."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name):
                yield name
            case ast.Call(func=ast.Name(id=called), args=arguments) if "attr" in called:
                for argument in arguments:
                    match argument:
                        case ast.Constant(value=str(name)):
                            yield name


def test_package_imports_nothing_private() -> None:
    found = {
        name
        for tree in TREES.values()
        for name in imported(tree)
        if not name.startswith("__future__") and any(map(is_private, name.split(".")))
    }
    assert found == set()


def test_package_looks_up_no_private_name_but_its_own() -> None:
    own = set().union(*map(own_names, TREES.values()))
    found = {name for tree in TREES.values() for name in looked_up(tree) if is_private(name)}
    assert found - own == {"_exit"}  # of `os`, whose documentation has it


def derived_classes() -> list[type]:
    """Return the package's classes that have a class of the SDK among their bases."""
    names = [".".join(("tap_calltouch", *path.parts)) for path in TREES if path.stem[0] != "_"]
    return [
        cls
        for module in map(import_module, names)
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if cls.__module__ == module.__name__
        and any(base.__module__.startswith("singer_sdk") for base in cls.__mro__)
    ]


def test_one_private_member_of_the_sdk_is_overridden() -> None:
    """If this fails, look for a public way first."""
    overridden = {
        name
        for cls in derived_classes()
        for base in cls.__mro__
        if base.__module__.startswith("singer_sdk")
        for name in names_of(cls) & names_of(base)
    }
    assert overridden == {"_sync_records"}


def test_these_tests_see_what_they_are_for() -> None:
    """They find what the package would do if it used private names."""
    tree = ast.parse(
        "from singer_sdk._singerlib import x\nimport singer_sdk._a\n"
        "stream._write_state()\ngetattr(stream, '_tap')\n"
    )
    assert set(imported(tree)) == {"singer_sdk._singerlib.x", "singer_sdk._a"}
    assert set(looked_up(tree)) == {"_write_state", "_tap"}
    assert {cls.__name__ for cls in derived_classes()} >= {"TapCalltouch", "Requests", "Calls"}
    assert {"_config", "_handle_termination"} <= set().union(
        *map(names_of, TapCalltouch.__mro__[:-1])
    )
