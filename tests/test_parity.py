"""The table of what is covered names tests that exist, and the page is what the table makes."""

from tests.parity import NOT_DONE, PAGE, TABLES, known_tests, page


def test_every_row_names_a_test_that_exists() -> None:
    known = known_tests()
    for table in TABLES.values():
        for what, cover in table:
            missing = [] if cover.startswith(NOT_DONE) else [n for n in cover.split() if n not in known]
            assert not missing and cover, f"{what}: {missing}"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/parity.md is out of date; run `make parity`"
