"""Pages escape what they are told, stand alone, and are written together with their JSON."""

import html.parser
import json

import jinja2
import pytest

from mtfx.evaluation.reports.daily import Day
from mtfx.evaluation.reports.kit.pages import PAGE_FILE, render_page, write_report


def daily(days, image=b""):
    values = {"days": days, "describe": lambda model: "", "serving": None}
    return render_page("daily.html.j2", values, {"figures": image})


class Tags(html.parser.HTMLParser):
    """Collects tags, and checks that they close in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_page_is_whole_and_stands_alone():
    found = Tags(daily([Day(1, "refused", reason="<no log>")], b"\x89PNG")).tags
    names = [tag for tag, _ in found]
    assert names[:2] == ["html", "head"]
    assert names.count("style") == names.count("title") == names.count("main") == 1
    assert not {"script", "link", "iframe"} & set(names)
    (image,) = (attributes for tag, attributes in found if tag == "img")
    assert image["src"] == "data:image/png;base64,iVBORw=="
    assert image["alt"]


def test_text_is_escaped_and_an_empty_image_left_out():
    text = daily([Day(1, "refused", reason="<no log>")])
    assert "&lt;no log&gt;" in text
    assert "<no log>" not in text
    assert "<img" not in text


def test_a_name_that_is_missing_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="days"):
        render_page("daily.html.j2", {})


def test_both_files_are_written(tmp_path):
    path = write_report(tmp_path / "new", "report.json", {"a": "é"}, "<p>", indent=2)
    assert path == tmp_path / "new" / PAGE_FILE
    assert path.read_text() == "<p>"
    assert json.loads((tmp_path / "new" / "report.json").read_text()) == {"a": "é"}
    assert {file.name for file in path.parent.iterdir()} == {"report.json", PAGE_FILE}


def test_content_that_is_no_json_leaves_no_page(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_report(tmp_path, "report.json", {"a": float("nan")}, "<p>")
    assert list(tmp_path.iterdir()) == []
