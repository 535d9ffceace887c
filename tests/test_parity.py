"""The table of what is covered names tests that exist, and the page is what the table makes."""

from pathlib import Path

import pytest

from tests.parity import NOT_DONE, PAGE, TABLES, known_tests, named_tests, page, write_page


def test_every_row_names_a_test_that_exists() -> None:
    known = known_tests()
    for table in TABLES.values():
        for what, cover in table:
            missing = (
                [] if cover.startswith(NOT_DONE) else [name for name in cover.split() if name not in known]
            )
            assert not missing and cover, f"{what}: {missing}"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run the whole suite, or python -m tests.parity"


def test_the_page_tells_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.parity.PAGE", tmp_path / "parity.md")
    outcomes = dict.fromkeys(named_tests(), True)
    write_page({"crop::test_integer_poses_are_truncated": True})
    assert not list(tmp_path.iterdir())  # a part of the suite
    write_page(outcomes)
    assert (tmp_path / "parity.md").read_text() == page()
    write_page(outcomes | {"crop::test_integer_poses_are_truncated": False})
    text = (tmp_path / "parity.md").read_text()
    assert "`test_crop::test_integer_poses_are_truncated` **fails**" in text and text.count("fails") == 1
