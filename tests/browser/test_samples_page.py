"""Several samples on the page: the strip shows their mean, and keys turn every panel to the next one."""

from __future__ import annotations

from page import SET, Visit


def test_all_none_or_the_default_methods_and_all_settings_again(visit: Visit) -> None:
    page = visit.page
    count = "(n) => document.querySelectorAll('#methods input:checked').length === n"
    for name, n in (("All methods", 13), ("None", 0), ("The default ones", 5)):
        page.get_by_role("button", name=name, exact=True).press("Enter")
        page.wait_for_function(count, arg=n)
    visit.open_sampling()
    visit.slide("temperature", "1.2")
    visit.slide("sure", "0.6")
    page.click("#reset-settings")
    for name, value in (("temperature", "0"), ("sure", "0.9")):
        page.wait_for_function(SET, arg=[name, value])
    assert page.evaluate(count, 5)
    assert visit.errors == []


def test_samples_are_turned_by_keys_and_judged_again(visit: Visit) -> None:
    page = visit.page
    visit.open_sampling()
    for name, value in (("samples", "3"), ("max-tokens", "20")):
        visit.slide(name, value)
    page.click("#run")  # at temperature 0
    page.wait_for_selector(".error:visible")
    assert "temperature" in page.locator(".answers .error").text_content()
    visit.slide("temperature", "1.2")
    visit.run()
    first = visit.texts()
    assert page.locator(".pager .count").all_text_contents() == ["1 / 3"] * 5
    assert "mean of 3 samples" in page.locator(".strip thead").text_content()
    assert "(sd)" in page.locator(".strip tr[data-method=vdd]").text_content()
    following = page.get_by_role("button", name="Next sample: VDD")
    texts = []
    for number in ("2 / 3", "3 / 3", "1 / 3"):
        following.press("Enter")
        assert page.locator(".pager .count").all_text_contents() == [number] * 5
        assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "Next sample: VDD"
        texts.append(visit.texts())
    assert texts[2] == first
    assert len({tuple(every) for every in texts}) == 3
    page.get_by_role("button", name="Previous sample: VDD").press("Enter")
    assert visit.texts() == texts[1]
    page.locator(".panel[data-method=vdd] .seg.m").first.click()
    assert page.locator(".evidence .facts td").count() > 4
    page.keyboard.press("Escape")
    before = page.locator(".strip tbody").text_content()
    visit.slide("sure", "0.6")
    page.wait_for_function("() => document.querySelector('.panel[data-method=vdd] .count').textContent === '3 / 3'")
    assert visit.texts() == texts[1]  # the same sample is shown, judged anew
    assert page.locator(".strip tbody").text_content() == before  # expected inventions do not depend on it
    assert visit.errors == []
