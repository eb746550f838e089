"""The contact sheet: texts and names are escaped, false mentions are struck, and nothing is fetched."""

from __future__ import annotations

from annotated_photos import CAR, write

from halluapp.evaluation.annotations import read_samples
from halluapp.grounding.verdicts import judge_text
from halluapp.recipes.pocket.contact_sheet import sheet


def test_a_sheet_shows_texts_verdicts_and_what_is_false(tmp_path):
    (sample,) = read_samples(write(tmp_path, {"a<b": CAR}))[0]
    text = "A car, a dog and a tree. <script>"
    page = sheet([(sample, {"baseline": text}, {"baseline": judge_text(text, [], ["car", "dog"])})])
    assert "<s>dog</s>" in page
    assert "<s>car</s>" not in page
    assert "<s>tree</s>" not in page, "COCO's labels say nothing about trees"
    assert "a&lt;b" in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert 'src="data:image/jpeg;base64,' in page
    assert "http" not in page
