"""The pages: links lead somewhere, paths and sections that are named exist, snippets run."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "openhmr"
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md"), *SOURCE.rglob("*.md")]
CODE = [p for folder in ("src", "tests", "benchmarks", "examples") for p in (ROOT / folder).rglob("*.py")]
OUTSIDE = re.compile(r"https?://|mailto:")


def sections(page: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)


def anchor(title: str) -> str:
    """The anchor that a heading gets: lower case, hyphens for spaces, no other marks."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def cited(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each page of the originals that ``text`` cites, with the sections in quotes behind it."""
    words = " ".join(re.sub(r"^\s*#", " ", text, flags=re.MULTILINE).split())
    for page, behind in re.findall(r'docs/originals/(\w+)\.md((?:,? (?:and )?"[^"]+")*)', words):
        yield page, re.findall(r'"([^"]+)"', behind)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files_and_sections(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if OUTSIDE.match(target):
            continue
        name, _, section = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not section or section in map(anchor, sections(file)), f"{page.name} links to {target}"


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=lambda p: str(p.relative_to(ROOT))
)
def test_named_files_of_the_repository_exist(page: Path) -> None:
    """Paths in backticks that begin with a folder of the repository or of the package."""
    folders = {p.name for p in (*ROOT.iterdir(), *SOURCE.iterdir()) if p.is_dir()}
    folders -= {"out", *(f for f in folders if f.startswith("."))}
    for path in re.findall(r"`([\w.]+(?:/[\w.]+)+)`", page.read_text(encoding="utf-8")):
        if path.split("/")[0] in folders:
            assert (ROOT / path).exists() or (SOURCE / path).exists(), f"{page.name} names {path}"


def test_cited_sections_of_the_originals_exist() -> None:
    pages = {p.stem: sections(p) for p in (ROOT / "docs" / "originals").glob("*.md")}
    count = 0
    for path in set(CODE) - {Path(__file__)}:
        for page, titles in cited(path.read_text(encoding="utf-8")):
            assert page in pages, f"{path} cites {page}.md"
            assert set(titles) <= set(pages[page]), f"{path} cites {page}.md, {titles}"
            count += len(titles)
    assert count > 20


FENCE = re.compile(r"(<!-- not run: [^>]+ -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def snippets() -> Iterator[Any]:
    """Page, language and text of every code block that no comment excuses from being run."""
    for page in PAGES:
        for excuse, language, text in FENCE.findall(page.read_text(encoding="utf-8")):
            assert language in ("bash", "python", "text"), (
                f"{page.name}: a block is {language!r}: {text[:40]!r}"
            )
            if not excuse and language != "text":
                yield pytest.param(language, text, id=f"{page.relative_to(ROOT)}, {text.split(chr(10))[0]}")


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with what the pages suppose to be there: the examples, and a photo."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    code = "import sys; sys.path.insert(0, 'examples'); import photo, PIL.Image as i;"
    code += "i.fromarray(photo.rendered_photo()).save('photo.jpg')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize(("language", "text"), list(snippets()))
def test_snippets_run(language: str, text: str, workplace: Path) -> None:
    if language == "bash" and not shutil.which("bash"):
        pytest.skip("there is no bash here")
    commands = {"bash": ["bash", "-euc", text], "python": [sys.executable, "-W", "error", "-c", text]}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        commands[language], cwd=workplace, capture_output=True, text=True, env=os.environ | {"PATH": path}
    )
    assert done.returncode == 0, done.stderr


def test_versions_agree() -> None:
    """Of the package, its citation and its newest release; of the formatter here and before a commit."""
    found = {}
    for name, pattern in {
        "pyproject.toml": r'^version = "(.+)"',
        "CITATION.cff": r"^version: (.+)",
        "CHANGELOG.md": r"^## \[(\d.+)\]",
    }.items():
        found[name] = re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert len(set(found.values())) == 1, found
    pinned = [
        re.findall(r"ruff==[\d.]+", (ROOT / name).read_text(encoding="utf-8"))
        for name in ("pyproject.toml", ".pre-commit-config.yaml")
    ]
    assert len({version for versions in pinned for version in versions}) == 1, pinned
