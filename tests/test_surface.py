"""The public face: what can be imported, that it is described, and where the folders are found."""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import wardround

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "wardround"
MODULES = sorted(PACKAGE.rglob("*.py"))
Described = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def test_what_is_promised_is_what_is_shown() -> None:
    assert sorted(name for name in dir(wardround) if not name.startswith("__")) == sorted(wardround.__all__)
    assert len(set(wardround.__all__)) == len(wardround.__all__)


@pytest.mark.parametrize("name", wardround.__all__)
def test_every_public_name_is_there_and_described(name: str) -> None:
    thing = getattr(wardround, name)
    assert thing.__name__ == name
    assert thing.__module__.startswith("wardround.")
    assert thing.__doc__.strip()


def test_a_name_that_is_not_there_is_missed_by_its_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Wrad'"):
        wardround.Wrad  # noqa: B018


def test_the_ten_lines_of_the_front_page_have_their_words() -> None:
    for word in ("Case", "Ward", "Consult", "Decision", "EvidenceGraph", "ConsultSettings"):
        assert word in wardround.__all__


def public(body: list[ast.stmt], within: str) -> Iterator[tuple[str, Described]]:
    for node in body:
        if isinstance(node, Described) and not node.name.startswith("_"):
            yield f"{within}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{within}{node.name}.")


def is_property_setter(node: Described) -> bool:
    return any(isinstance(mark, ast.Attribute) and mark.attr == "setter" for mark in node.decorator_list)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_public_thing_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert ast.get_docstring(tree) or not tree.body
    silent = [
        name for name, node in public(tree.body, "") if not ast.get_docstring(node) and not is_property_setter(node)
    ]
    assert silent == []


def test_the_walk_over_the_source_sees_the_public_things() -> None:
    seen = {
        name for path in MODULES for name, _ in public(ast.parse(path.read_text("utf-8")).body, "") if "." not in name
    }
    assert set(wardround.__all__) <= seen


@pytest.mark.parametrize("name", ["agents", "graphs", "tools", "evals"])
def test_a_folder_of_the_card_is_reached_from_the_root(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert Path(os.readlink(link)) == Path("wardround") / name
    assert (link / "__init__.py").samefile(PACKAGE / name / "__init__.py")
