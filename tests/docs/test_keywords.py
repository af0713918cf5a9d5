"""The README's table of keyword arguments is that of the classes."""

from tests.docs.keywords import README, keyword_table, split_page


def test_the_table_of_keyword_arguments_is_that_of_the_classes() -> None:
    _, table, _ = split_page(README.read_text(encoding="utf-8"))
    assert table == keyword_table(), "write it anew: python -m tests.docs.keywords"
