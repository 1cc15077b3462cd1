# /// script
# requires-python = ">=3.10"
# dependencies = ["mutmut==3.8.1", "pyyaml==6.0.3"]
# ///
"""Breaks the package in many small ways, and shows what the tests do not notice.

The ways are mutmut's, and four more. Its own runner is not used: it changes functions without
decorators alone, and forks a process that has imported the tests, where a tap has another process.
"""

from __future__ import annotations

import argparse
import difflib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from importlib.util import cache_from_source
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst
import yaml
from libcst import matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "tap_calltouch"
NOTES = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
RESULTS = ("killed", "hung", "survived", "equivalent")
WORKERS = 4  # many tests wait more than they compute
TEST_SECONDS = 120  # a test that takes longer hangs
ALL_SECONDS = 3600

# What nobody would notice: types, texts of several words, and what only a type checker reads.
SKIPPED = (
    m.Annotation()
    | m.Import()
    | m.ImportFrom()
    | m.If(test=m.Name("TYPE_CHECKING"))
    | m.Call(func=m.Name("cast") | m.Name("TypeVar"))
    | m.Assign(value=m.Subscript(value=m.Name("tuple") | m.Name("Literal")))
    | m.SimpleString(value=m.MatchIfTrue(lambda text: " " in text.strip("\"' ")))
)


class Mutant(NamedTuple):
    """A change in one place of a module of the package."""

    module: str
    line: int
    code: str
    diff: list[str]

    @property
    def reason(self) -> str:
        """Why no test can notice it, if that is noted."""
        was, new = (" ".join(x[1:].strip() for x in self.diff if x[0] == sign) for sign in "-+")
        change = {"module": self.module, "was": was, "is": new}
        return next((n["reason"] for n in NOTES["equivalent"] if change.items() <= n.items()), "")

    def show(self, what: str) -> str:
        """Return it in lines for the report."""
        place = f"{PACKAGE}/{self.module}:{self.line}"
        return "\n".join([f"{place}: {what}. {self.reason}".rstrip(), *self.diff, ""])


def negate(node: cst.If) -> Iterator[cst.If]:
    """Turn the condition of an `if`."""
    test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.with_changes(test=cst.UnaryOperation(cst.Not(), test))


def drop_statement(node: cst.Expr) -> Iterator[cst.Pass]:
    """Leave out a call whose result is not used."""
    if m.matches(node.value, m.Call()):
        yield cst.Pass()


def drop_result(node: cst.Return) -> Iterator[cst.Return]:
    """Return None."""
    if node.value and not m.matches(node.value, m.Name("None")):
        yield node.with_changes(value=cst.Name("None"))


def drop_exception(node: cst.ExceptHandler) -> Iterator[cst.ExceptHandler]:
    """Leave out one of the exceptions that are caught together."""
    if isinstance(node.type, cst.Tuple):
        for element in node.type.elements:
            kept = [other for other in node.type.elements if other is not element]
            kept[-1] = kept[-1].with_changes(comma=cst.Comma())
            yield node.with_changes(type=node.type.with_changes(elements=kept))


OPERATORS = [
    *mutation_operators,
    (cst.If, negate),
    (cst.Expr, drop_statement),
    (cst.Return, drop_result),
    (cst.ExceptHandler, drop_exception),
]


class Finder(cst.CSTVisitor):
    """Finds what can be changed in a module: by line, nodes and what may stand in their place."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: dict[int, list[tuple[cst.CSTNode, cst.CSTNode]]] = defaultdict(list)
        self._lines = source.splitlines()

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Look at a node; return whether to look into it."""
        position = self.get_metadata(PositionProvider, node, None)
        if not position:
            return True
        line = position.start.line
        if m.matches(node, SKIPPED) or "pragma: no cover" in self._lines[line - 1]:
            return False
        self.found[line] += [
            (node, other)
            for kind, operator in OPERATORS
            if isinstance(node, kind)
            for other in operator(node)
            if not other.deep_equals(node)
        ]
        return True


def draw(paths: list[Path], size: int, seed: int) -> list[Mutant]:
    """Draw mutants: lines first, so that one with many texts is no likelier than another."""
    modules = {}
    changes: dict[tuple[Path, int], list[tuple[cst.CSTNode, cst.CSTNode]]] = {}
    for path in paths:
        source = path.read_text(encoding="utf-8")
        wrapper = MetadataWrapper(cst.parse_module(source))
        finder = Finder(source)
        wrapper.visit(finder)
        modules[path] = source, wrapper.module
        changes |= {(path, line): found for line, found in finder.found.items() if found}
    chosen = random.Random(seed)
    places = chosen.sample(sorted(changes), min(size, len(changes)))
    number = sum(len(found) for found in changes.values())
    print(f"{number} mutants in {len(changes)} lines; {len(places)} are drawn.")
    drawn = []
    for path, line in places:
        source, module = modules[path]
        code = module.deep_replace(*chosen.choice(changes[path, line])).code
        diff = difflib.unified_diff(source.splitlines(), code.splitlines(), n=0, lineterm="")
        drawn.append(Mutant(path.relative_to(PACKAGE).as_posix(), line, code, [*diff][3:]))
    return drawn


def tests_of(module: str) -> list[str]:
    """Return the test files that look at a module, the quickest first."""
    return [f"tests/{name}.py" for name in NOTES["tests"][module].split()]


def copy_tree(folder: Path) -> Path:
    """Copy the files as they are, but none that git ignores, to a repository of its own."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    for name in filter(os.path.isfile, listed.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(name, folder / name)
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    subprocess.run(["git", "-C", folder, "add", "--all"], check=True)
    return folder


def run_tests(python: str, tree: Path, files: list[str], *options: str) -> tuple[int, str]:
    """Run test files to the first failure, and return the exit code and the output."""
    options = ("-qx", "--tb=line", "-p", "no:cacheprovider", *options, f"--timeout={TEST_SECONDS}")
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [python, "-m", "pytest", *options, *files],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},  # before the package that is installed
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            code = process.wait(ALL_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            code = process.wait()
        output.seek(0)
        return code, output.read()


def run_mutant(python: str, tree: Path, mutant: Mutant) -> str:
    """Return what became of a mutant: killed, hung, survived or equivalent."""
    if mutant.reason:
        return "equivalent"
    path = tree / PACKAGE / mutant.module
    original = path.read_bytes()
    try:
        # Its time may be the same as that of the one before.
        Path(cache_from_source(path)).unlink(missing_ok=True)
        path.write_text(mutant.code, encoding="utf-8")
        code, output = run_tests(python, tree, tests_of(mutant.module))
    finally:
        path.write_bytes(original)
    if code == 0:
        return "survived"
    return "hung" if "pytest-timeout" in output or "+ Timeout +" in output else "killed"


def main() -> int:
    """Run a sample, and print what survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=".venv/bin/python", type=os.path.abspath)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, default=100)
    parser.add_argument("--only", default="", help="the beginning of modules' names: output/")
    options = parser.parse_args()
    os.chdir(ROOT)
    paths = [
        path
        for path in sorted(Path(PACKAGE).rglob("*.py"))
        if path.relative_to(PACKAGE).as_posix().startswith(options.only)
    ]
    mutants = draw(paths, options.sample, options.seed)

    results: dict[str, Counter[str]] = defaultdict(Counter)
    trees: SimpleQueue[Path] = SimpleQueue()

    def run(mutant: Mutant) -> str:
        tree = trees.get()
        try:
            return run_mutant(options.python, tree, mutant)
        finally:
            trees.put(tree)

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WORKERS) as pool:
        copies = [copy_tree(Path(folder, str(number))) for number in range(WORKERS)]
        files = {file for mutant in mutants for file in tests_of(mutant.module)}
        code, output = run_tests(
            options.python, copies[0], sorted(files), f"-n{WORKERS}", "--dist=worksteal"
        )
        if code:
            print(output, "The tests fail without a mutant, too.", sep="\n")
            return 1
        print("The tests pass without a mutant.\n", flush=True)
        began = monotonic()
        for tree in copies:
            trees.put(tree)
        try:
            for mutant, result in zip(mutants, pool.map(run, mutants), strict=True):
                results[mutant.module.rpartition("/")[0] or "top"][result] += 1
                if result != "killed":
                    print(mutant.show(result), flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        seconds = (monotonic() - began) / len(mutants)

    results["all"] = sum(results.values(), Counter())
    print(f"{'':8}" + "".join(f"{name:>12}" for name in [*RESULTS, "score"]))
    for name, counts in results.items():
        valid = sum(counts.values()) - counts["equivalent"]
        score = f"{(valid - counts['survived']) / valid:.1%}" if valid else "-"
        print(
            f"{name:8}"
            + "".join(f"{cell:>12}" for cell in [*(counts[name] for name in RESULTS), score])
        )
    print(f"{seconds:.1f} s a mutant.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
