"""docs/names.md says what the tables say."""

from mlx_transpile.codegen.doc import names_page


def test_the_page_is_up_to_date(root):
    assert (root / "docs" / "names.md").read_text(encoding="utf-8") == names_page()
