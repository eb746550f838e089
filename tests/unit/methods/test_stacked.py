"""Stacked methods: the second one on the edited model, every row of it; and how they are named and set."""

from __future__ import annotations

import pytest
import torch
from tiny import MODELS, OPEN, YES_NO, RecordingMethod, lvlm, photo, run, views

from halluapp.cli import common
from halluapp.cli import main as cli
from halluapp.comparison import stream
from halluapp.decoding.plan import plan
from halluapp.errors import InputError
from halluapp.methods.base import Intervention, Step
from halluapp.methods.formulas.contrast import contrast
from halluapp.methods.registry import METHODS, VDD, AdaVIB, Nullu, calibrated_contrasts, create, stacks
from halluapp.methods.stacked import Stacked
from halluapp.request import MAX_PANELS, make_request
from halluapp.session import Session
from halluapp.ui.compare import sidebar

over_models = pytest.mark.parametrize(("kind", "quantization"), MODELS)
IDLE = {
    "nullu": {"strength": 0.0}, "adavib": {"strength": 0.0}, "vdd": {"alpha": 0.0}, "vcd": {"alpha": 0.0},
    "icd": {"alpha": 0.0}, "m3id": {"decay": 0.0}, "pai": {"alpha": 0.0, "gamma": 1.0},
    "dola": {"strength": 0.0}, "deco": {"alpha": 0.0}, "chip": {"strength": 0.0}, "hacl": {"strength": 0.0},
    "calibration": {"strength": 0.0, "label_strength": 0.0},
}  # fmt: skip


def _idle(*parts: str) -> dict:
    return {f"{part}.{key}": value for part in parts for key, value in IDLE[part].items()}


@pytest.mark.slow
@over_models
def test_a_stack_in_a_batch_equals_itself_alone(kind, quantization) -> None:
    model, image = lvlm(kind, quantization), views(kind, quantization)
    for name in stacks():
        together = run(model, image, OPEN, [*(method() for method in METHODS.values()), create(name)], max_new_tokens=8)
        alone = run(model, image, OPEN, [create(name)], max_new_tokens=8)
        assert together[name].ids == alone[name].ids, name
        assert together[name].ids, name
        p_main = {one: together[one].events[0].token.p_main for one in (name, "baseline", name.split("+")[1])}
        others = (p_main["baseline"], p_main[name.split("+")[1]])
        assert p_main[name] not in others, name  # the edit acts on the main row


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "quantization"), [("llava", "nf4"), ("pocket", "none")])
@pytest.mark.parametrize("prompt", [OPEN, YES_NO])
def test_an_idle_part_leaves_the_other_and_two_leave_the_baseline(kind, quantization, prompt) -> None:
    model, image = lvlm(kind, quantization), views(kind, quantization)
    for name in stacks():
        first, second = name.split("+")
        plain = run(model, image, prompt, [create("baseline"), create(first), create(second)], max_new_tokens=8)
        for idle, same in (((first,), second), ((second,), first), ((first, second), "baseline")):
            stack = run(model, image, prompt, [create(name, **_idle(*idle))], max_new_tokens=8)[name]
            assert stack.ids == plain[same].ids, (name, idle)


@over_models
def test_the_references_are_the_edited_models_too(kind, quantization) -> None:
    """Rows of nullu+vdd are those of VDD on the edited model: its reference is Nullu's own image-free answer."""
    model, method = (
        lvlm(kind, quantization),
        RecordingMethod(create("nullu+vdd", **{"nullu.rank": 6, "reference": "none"})),
    )
    run(model, views(kind, quantization), OPEN, [method, VDD(reference="none")], max_new_tokens=1)
    edited, ids = [], model.prompt_ids(OPEN, "none")
    for layer, space in model.space("default").layers.items():
        project = lambda _m, _x, y, basis=space[:, :6]: y - (y @ basis) @ basis.T  # noqa: E731
        edited.append(model.output_projection(layer).register_forward_hook(project))
    try:
        with torch.no_grad():
            reference = model.model(input_ids=torch.tensor([ids])).logits[0, -1]
    finally:
        for handle in edited:
            handle.remove()
    main, base = method.logits[0]
    torch.testing.assert_close(base, reference, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(method.combined[0].scores, contrast(main, base, 1.0, 0.1))


@pytest.mark.parametrize("prompt", [OPEN, YES_NO])
@pytest.mark.parametrize("name", calibrated_contrasts())
def test_calibration_of_the_scores_of_a_contrast(name, prompt) -> None:
    """VDD paper: the label scores that post-hoc debias corrects may be those of a contrast ("VCD (u)")."""
    model, image, first = lvlm(), views("llava", "none"), name.split("+")[0]
    method, contrast_alone = RecordingMethod(create(name)), create(first)
    plain = [create("baseline"), contrast_alone, create("calibration")]
    answers = run(model, image, prompt, [*plain, method], max_new_tokens=4)
    count = len(contrast_alone.rows(prompt))
    for index, (logits, combination) in enumerate(zip(method.logits, method.combined, strict=True)):
        step = Step(index, prompt, tuple(answers[name].ids[:index]))
        scores = contrast_alone.combine(logits[:count], step, model).scores
        both = torch.cat([scores[None], logits[count:]])
        torch.testing.assert_close(combination.scores, create("calibration").combine(both, step, model).scores)
    for idle, same in (((first,), "calibration"), (("calibration",), first), ((first, "calibration"), "baseline")):
        without = run(model, image, prompt, [create(name, **_idle(*idle))], max_new_tokens=4)[name]
        assert without.ids == answers[same].ids, idle


def test_calibrated_contrasts_on_an_edited_model_are_told_in_words() -> None:
    method = create("nullu+vcd+calibration")
    assert [row.view for row in method.rows(YES_NO)] == ["photo", "photo", "none", "unk"]
    assert all(row.intervention for row in method.rows(YES_NO))
    assert method.summary == ("Calibrated decoding applied to the scores of VCD, on the model that Nullu edited.")
    assert create("vcd+calibration").reference_description == "model with the noised photo, model without the photo"
    assert {"vcd+calibration", "vdd+calibration"} <= {name for _, name in sidebar.stack_choices()}


def test_rows_that_compute_the_same_are_prefilled_once() -> None:
    """A projector changes nothing in a row without the photo."""
    stack = plan([(OPEN, [create("vdd"), create("adavib+vdd"), create("nullu+vdd"), create("nullu+adavib+vdd")])])
    rows = {method.name: prefixes for _, method, prefixes in stack.streams}
    assert rows["vdd"][1] == rows["adavib+vdd"][1] != rows["nullu+vdd"][1] == rows["nullu+adavib+vdd"][1]
    assert len({prefixes[0] for prefixes in rows.values()}) == 4
    both = create("adavib+nullu").rows(OPEN)[0].intervention
    assert both == Intervention("default", 4, 1.0, "adavib", 1.0) == create("nullu+adavib").rows(OPEN)[0].intervention


def test_interventions_combine_unless_they_are_of_one_kind() -> None:
    space, projector = (
        Intervention(space="a", rank=2, space_strength=0.5),
        Intervention(projector="b", projector_strength=0.3),
    )
    assert space.merge(projector) == projector.merge(space) == Intervention("a", 2, 0.5, "b", 0.3)
    assert space.merge(None) == space
    assert projector.without_photo() is None
    assert space.merge(projector).without_photo() == space
    for one in (space, projector, Intervention(attention_strength=0.2)):
        with pytest.raises(InputError, match="same kind"):
            one.merge(one)


def test_parameters_of_parts() -> None:
    method = create("nullu + vdd", alpha=0.5, **{"nullu.rank": 2, "vdd.beta": 0.2})
    assert method.name == "nullu+vdd"
    assert method.title == "Nullu + VDD"
    assert method.parts == (Nullu(rank=2), VDD(alpha=0.5, beta=0.2))
    assert method.parameters() == {
        "nullu.strength": 1.0, "nullu.rank": 2, "vdd.alpha": 0.5, "vdd.beta": 0.2, "vdd.reference": "unk",
    }  # fmt: skip
    assert hash(method) == hash(create("nullu+vdd", **method.parameters()))
    assert create("nullu+adavib", **{"adavib.strength": 0.5}).parts[1] == AdaVIB(strength=0.5)


@pytest.mark.parametrize(
    ("name", "given", "word"),
    [("vdd+nullu", {}, "VDD edits nothing"), ("nullu+baseline", {}, "leave it out"), ("baseline+vdd", {}, "Baseline"),
     ("nullu+nullu", {}, "once"), ("nullu+magic", {}, "magic"), ("nullu+", {}, "no method"), ("vdd+vcd", {}, "VDD"),
     ("nullu+adavib", {"strength": 1.0}, "nullu.strength or adavib.strength"),
     ("nullu+vdd", {"gamma": 1}, "gamma"), ("nullu+vdd", {"adavib.strength": 1}, "adavib.strength"),
     ("nullu+vdd", {"nullu.alpha": 1}, "alpha"), ("nullu+vdd", {"vdd.alpha": 99}, "alpha")],
)  # fmt: skip
def test_what_cannot_be_stacked_gets_one_sentence(name, given, word) -> None:
    with pytest.raises(InputError, match=word.replace("+", r"\+")) as caught:
        create(name, **given)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        Stacked((Nullu(),))


def test_a_stack_is_a_panel_of_the_report() -> None:
    class Nothing:
        name, labels = "nothing", ()

        def detect(self, photo) -> list:
            return []

    session = Session(lvlm("llava", "nf4"), Nothing())
    request = make_request(photo(), OPEN, ["baseline", "nullu+vdd"], max_new_tokens=3)
    events = list(stream(request, session))
    panels = events[-1].report["panels"]
    assert [panel["method"] for panel in panels] == ["baseline", "nullu+vdd"]
    assert panels[1]["parameters"]["nullu.rank"] == 4
    assert panels[1]["tokens"]
    assert panels[1]["forward_passes"] == 6
    assert "Nullu:" in panels[1]["explanation"]
    assert "VDD:" in panels[1]["explanation"]


def test_missing_weights_of_a_part_are_the_panels_error(monkeypatch) -> None:
    model = lvlm("llava", "nf4")
    monkeypatch.delitem(model.spaces, "default")
    answers = run(model, views("llava", "nf4"), OPEN, [create("nullu+vdd"), create("baseline")], max_new_tokens=2)
    assert "HalluSpace" in answers["nullu+vdd"].end.error
    assert answers["baseline"].ids


def test_stacks_on_the_command_line() -> None:
    options = cli.parser().parse_args(
        [
            "compare",
            "x.jpg",
            "--prompt",
            "p",
            "--methods",
            "baseline, nullu + vdd",
            "--set",
            "nullu+vdd.alpha=0.5",
            "--set",
            "nullu+vdd.nullu.rank=2",
        ]
    )
    baseline, stack = common.methods_of(options)
    assert baseline.name == "baseline"
    assert stack.parts == (Nullu(rank=2), VDD(alpha=0.5))


def test_stacks_from_the_sidebar_take_the_parts_settings() -> None:
    names = [name for _, name in sidebar.stack_choices()]
    assert "nullu+vdd" in names
    assert len(names) == len(set(names))
    assert all(create(name).name == name for name in names)
    values = {("nullu", "rank"): 2, ("nullu", "strength"): 1.0, ("vdd", "alpha"): 0.5, ("vdd", "beta"): 0.1,
              ("vdd", "reference"): "none"}  # fmt: skip
    results = sidebar.methods_from(["nullu+vdd", "vdd", "baseline"], values)
    assert [method.name for method in results] == ["baseline", "vdd", "nullu+vdd"]
    assert results[2].parts == (Nullu(rank=2), VDD(alpha=0.5, reference="none"))
    assert results[1] == results[2].parts[1]


def test_as_many_panels_as_methods_and_no_more() -> None:
    many = [*METHODS, *stacks()]
    assert len(make_request(photo(), OPEN, list(METHODS)).methods) == MAX_PANELS == len(METHODS) == 13
    with pytest.raises(InputError, match="at most 13"):
        make_request(photo(), OPEN, many[: MAX_PANELS + 1])
