"""A line is blank only if no cell has a text and nothing was wrong with it."""

from agent.central.office.roster_sheet import Row


def test_a_line_of_empty_cells_is_blank_but_a_fault_never_is() -> None:
    assert Row("line 2", ["", " ", "\t"]).is_blank
    assert not Row("line 2", ["", "a"]).is_blank
    assert not Row("line 2", (), "a quote is not closed").is_blank


def test_a_row_is_as_wide_as_the_others() -> None:
    assert Row("row 2", ["a"]).padded(3) == Row("row 2", ["a", "", ""])
