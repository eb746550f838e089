"""Several samples on the page: the strip shows their mean, and keys turn every panel to the next one."""

from __future__ import annotations

from page import Visit

SET = "([id, value]) => document.querySelector(`#${id} input[type=range]`).value === value"


def slide(visit: Visit, name: str, value: str) -> None:
    """Types a number beside a slider, and waits until the slider has heard of it."""
    visit.page.fill(f"#{name} input[type=number]", value)
    visit.page.press(f"#{name} input[type=number]", "Tab")
    visit.page.wait_for_function(SET, arg=[name, value])


def test_all_none_or_the_default_methods_and_all_settings_again(visit: Visit) -> None:
    page = visit.page
    count = "(n) => document.querySelectorAll('#methods input:checked').length === n"
    for name, n in (("All methods", 13), ("None", 0), ("The default ones", 5)):
        page.get_by_role("button", name=name, exact=True).press("Enter")
        page.wait_for_function(count, arg=n)
    page.click(".toggle-settings")
    page.get_by_role("button", name="Sampling").click()
    slide(visit, "temperature", "1.2")
    slide(visit, "sure", "0.6")
    page.click("#reset-settings")
    for name, value in (("temperature", "0"), ("sure", "0.9")):
        page.wait_for_function(SET, arg=[name, value])
    assert page.evaluate(count, 5)
    assert visit.errors == []


def test_samples_are_turned_by_keys_and_judged_again(visit: Visit) -> None:
    page = visit.page
    page.click(".toggle-settings")
    page.get_by_role("button", name="Sampling").click()
    for name, value in (("samples", "3"), ("max-tokens", "20")):
        slide(visit, name, value)
    page.click("#run")  # at temperature 0
    page.wait_for_selector(".error:visible")
    assert "temperature" in page.locator(".answers .error").text_content()
    slide(visit, "temperature", "1.2")
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
    slide(visit, "sure", "0.6")
    page.wait_for_function("() => document.querySelector('.panel[data-method=vdd] .count').textContent === '3 / 3'")
    assert visit.texts() == texts[1]  # the same sample is shown, judged anew
    assert page.locator(".strip tbody").text_content() == before  # expected inventions do not depend on it
    assert visit.errors == []
