"""A comparison from the request to the report, on tiny real models; bad requests get one sentence each."""

from __future__ import annotations

import io
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from conformity import conforms
from PIL import Image
from tiny import KINDS, OPEN, YES_NO, folder, hooks, lvlm, photo, run, tokenizer, visual
from tiny_sessions import DogDetector, tiny_session

from halluapp import comparison, report
from halluapp.comparison import stream, texts_of
from halluapp.decoding.events import Decoded, Detected, Done, Failed, Finished, Started, Status
from halluapp.errors import InputError
from halluapp.methods.registry import VDD, create, defaults
from halluapp.request import make_request
from halluapp.session import load_session
from halluapp.settings import Settings


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


BAD = [
    {"photo": None}, {"photo": b""}, {"photo": b"junk"}, {"photo": "no/such/file.jpg"},
    {"prompt": ""}, {"prompt": " \n "}, {"prompt": None}, {"prompt": 5}, {"prompt": "x" * 2001},
    {"prompt": "lone \udc80 surrogate"},
    {"methods": []}, {"methods": ["nope"]}, {"methods": ["vdd", "vdd"]}, {"methods": ["vdd", VDD(alpha=2.0)]},
    {"methods": [5]}, {"methods": [VDD]}, {"methods": "vdd"},
    {"max_new_tokens": 0}, {"max_new_tokens": 513}, {"max_new_tokens": 2.5}, {"max_new_tokens": "5"},
    {"max_new_tokens": True}, {"max_new_tokens": math.nan}, {"max_new_tokens": None},
    {"temperature": -0.1}, {"temperature": 2.5}, {"temperature": math.nan}, {"temperature": math.inf},
    {"top_p": 0}, {"top_p": 1.1}, {"top_k": -1}, {"top_k": 1.5}, {"seed": -1}, {"seed": 2**32}, {"seed": 0.5},
    {"sure": 0.4}, {"sure": 1.1}, {"sure": "high\nlow"}, {"samples": 2}, {"samples": 0}, {"samples": "2"},
]  # fmt: skip


@pytest.mark.parametrize("change", BAD, ids=lambda change: repr(change)[:60])
def test_a_bad_request_gets_one_sentence(change) -> None:
    good = {"photo": photo(), "prompt": OPEN}
    make_request(**good)
    with pytest.raises(InputError) as caught:
        make_request(**{**good, **change})
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert sentence[0].isupper()
    assert len(sentence) < 200


def test_a_good_request_is_checked_and_normalised(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(_png(photo()))
    for source in (path, str(path), path.read_bytes(), photo(), photo().convert("RGBA")):
        request = make_request(source, f"  {OPEN}\n", max_new_tokens=7.0, seed=3)
        assert request.prompt == OPEN
        assert request.photo.mode == "RGB"
        assert request.photo.tobytes() == photo().tobytes()
        assert [method.name for method in request.methods] == defaults()
        assert request.sampling.max_new_tokens == 7
        assert isinstance(request.sampling.max_new_tokens, int)
    mixed = make_request(photo(), OPEN, ["vdd", create("nullu", rank=2), "baseline"])
    assert [method.name for method in mixed.methods] == ["vdd", "nullu", "baseline"]


@pytest.mark.parametrize("kind", KINDS)
def test_events_come_in_the_documented_order(kind) -> None:
    session, request = tiny_session(kind), make_request(photo(), YES_NO, max_new_tokens=6, sure=0.85)
    events = list(stream(request, session))
    assert [type(event) for event in events[:3]] == [Status, Detected, Started]
    assert isinstance(events[-1], Done)
    assert not any(isinstance(event, Status | Detected | Started | Done) for event in events[3:-1])
    detected, started, results = events[1], events[2], events[-1].report
    assert detected.labels == DogDetector.labels
    assert detected.detector == "finder"
    assert len(session.detector.photos) == 1
    assert [about["method"] for about in started.methods] == defaults()
    assert all(about["explanation"] and about["title"] and about["summary"] for about in started.methods)
    for name in defaults():
        mine = [event for event in events[3:-1] if event.method == name]
        assert [event.index for event in mine[:-1]] == list(range(len(mine) - 1))
        assert isinstance(mine[-1], Finished)
        assert all(isinstance(event, Decoded) for event in mine[:-1])
        panel = next(panel for panel in results["panels"] if panel["method"] == name)
        assert panel["text"] == mine[-2].text
        assert panel["error"] is None
        assert [token["id"] for token in panel["tokens"]] == [event.token.id for event in mine[:-1]]
        assert panel["forward_passes"] == mine[-1].forward_passes
        assert panel["reason"] == mine[-1].reason


@pytest.mark.parametrize("kind", KINDS)
def test_the_report_is_strict_json_and_reads_back(kind) -> None:
    request = make_request(photo(), OPEN, max_new_tokens=5, temperature=0.8, seed=9)
    results = list(stream(request, tiny_session(kind)))[-1].report
    conforms("compare", results)
    again = report.loads(json.dumps(results, allow_nan=False))
    assert again == json.loads(report.dumps(results)) == results
    assert results["schema"] == 1
    assert results["prompt"] == OPEN
    assert results["seed"] == 9
    assert (results["photo"]["width"], results["photo"]["height"]) == photo().size
    assert results["labels"] == list(DogDetector.labels)
    assert results["detections"][0]["label"] == "dog"
    assert [panel["method"] for panel in results["panels"]] == defaults()
    assert all(panel["parameters"] == create(panel["method"]).parameters() for panel in results["panels"])


def test_the_report_is_what_the_engine_decodes() -> None:
    request = make_request(photo(1), OPEN, max_new_tokens=8)
    results = list(stream(request, tiny_session()))[-1].report
    alone = run(lvlm("llava", "nf4"), visual("llava", "nf4", 1), OPEN, list(request.methods), max_new_tokens=8)
    for panel in results["panels"]:
        assert [token["id"] for token in panel["tokens"]] == alone[panel["method"]].ids


@pytest.mark.parametrize("after", [0, 3, 11])
def test_stop_ends_within_a_token_with_a_report(after) -> None:
    request, decoded, end = make_request(photo(), OPEN, max_new_tokens=60), [], None
    for event in stream(request, tiny_session(), lambda: len(decoded) >= after):
        decoded.extend([event] if isinstance(event, Decoded) else [])
        end = event
    assert len(decoded) <= after + len(defaults())
    assert isinstance(end, Done)
    assert {panel["reason"] for panel in end.report["panels"]} == {"stopped"}
    assert sum(len(panel["tokens"]) for panel in end.report["panels"]) == len(decoded)


def test_closing_the_stream_stops_decoding() -> None:
    session, request = tiny_session(), make_request(photo(), OPEN, max_new_tokens=60)
    events, forwards = stream(request, session), []
    probe = session.lvlm.layers[0].register_forward_hook(lambda *_: forwards.append(1))
    for event in events:
        if isinstance(event, Decoded) and event.index == 2:
            break
    events.close()
    probe.remove()
    assert len(forwards) == 3
    assert hooks(session.lvlm) == 0


def test_a_method_without_weights_has_its_own_panel(monkeypatch) -> None:
    session, request = tiny_session(), make_request(photo(), OPEN, max_new_tokens=4)
    plain = list(stream(request, session))[-1].report
    monkeypatch.delitem(session.lvlm.spaces, "default")
    events = list(stream(request, session))
    assert [event.method for event in events if isinstance(event, Failed)] == ["nullu"]
    panels = {panel["method"]: panel for panel in events[-1].report["panels"]}
    assert "HalluSpace" in panels["nullu"]["error"]
    assert panels["nullu"]["tokens"] == []
    assert not panels["nullu"]["text"]
    for panel in plain["panels"]:
        if panel["method"] != "nullu":
            assert panels[panel["method"]]["tokens"] == panel["tokens"]
    with pytest.raises(InputError, match="HalluSpace"):
        texts_of([request], session)


def test_texts_of_several_requests_equal_each_alone() -> None:
    session = tiny_session("pocket")
    requests = [make_request(photo(seed), prompt, max_new_tokens=6) for seed, prompt in enumerate((OPEN, YES_NO, OPEN))]
    together = texts_of(requests, session)
    assert together == [texts_of([request], session)[0] for request in requests]
    assert not session.detector.photos
    for request, results in zip(requests, together, strict=True):
        panels = list(stream(request, session))[-1].report["panels"]
        assert results == {panel["method"]: panel["text"] for panel in panels}
    assert texts_of([], session) == []
    with pytest.raises(ValueError, match="sampling"):
        texts_of([requests[0], make_request(photo(), OPEN, max_new_tokens=7)], session)


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Path:
    """An assets folder like the shipped one: a pocket LVLM of one layer and a detection head, both untrained."""
    from halluapp.grounding.detectors import pocket_head as detector
    from halluapp.lvlm.families import pocket as pocket_model
    from halluapp.recipes.pocket import export

    results = tmp_path_factory.mktemp("assets")
    torch.manual_seed(0)
    model = pocket_model.build(tokenizer(), layers=1)
    model.generation_config.eos_token_id = tokenizer().eos_token_id
    pocket_model.save(model, results / "pocket")
    tokenizer().save_pretrained(results / "pocket")
    export.image_processor().save_pretrained(results / "pocket")
    head = detector.DetectionHead(["dog", "cat"])
    detector.save(head, results / "pocket", dict.fromkeys(head.labels, 0.5), {})
    return results


def test_compare_loads_everything_and_returns_the_report(assets) -> None:
    settings = Settings(assets=assets, device="cpu", detector="shared")
    document = comparison.compare(photo(), OPEN, settings, max_new_tokens=3)
    assert report.validate(document)
    assert document["model"]["quantization"] == "nf4"
    errors = {panel["method"]: panel["error"] for panel in document["panels"]}
    assert {name for name, error in errors.items() if error} == {"nullu", "adavib"}  # nothing lies beside this model
    again = load_session(Settings(assets=assets, device="cpu", detector="shared"))
    assert load_session(settings) is again  # once a process


def test_one_pass_of_the_trunk_serves_both(assets) -> None:
    session = load_session(Settings(assets=assets, device="cpu", detector="shared"))
    passes = []
    probe = session.lvlm.model.model.vision_tower.trunk.register_forward_hook(lambda *_: passes.append(1))
    list(stream(make_request(photo(), OPEN, ["baseline"], max_new_tokens=2), session))
    probe.remove()
    assert len(passes) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_another_model_gets_the_detectors_own_tower(assets, kind, tmp_path) -> None:
    """Also a model of the pocket class: its neck is not the one that the detector was trained with."""
    checkpoint = shutil.copytree(folder(kind), tmp_path / "model")
    settings = Settings(model=str(checkpoint), assets=assets, device="cpu", quantization="none", detector="shared")
    session = load_session(settings)
    embedded = load_session(Settings(assets=assets, device="cpu", detector="shared"))
    events = [
        list(stream(make_request(photo(), OPEN, ["baseline"], max_new_tokens=1), one))[1] for one in (session, embedded)
    ]
    assert events[0].detector == "pocket detector"
    assert len(events[0].detections) == len(events[1].detections)
    for a, b in zip(events[0].detections, events[1].detections, strict=True):
        assert a["label"] == b["label"]
        assert a["score"] == pytest.approx(b["score"], abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_model_cannot_read_is_one_sentence(kind) -> None:
    session = tiny_session(kind)
    most = session.lvlm.context_length
    expected = make_request(photo(), "wild words " * 150, ["baseline"], max_new_tokens=512)
    assert len(session.lvlm.prompt_ids(expected.prompt, "photo")) + 512 > most
    with pytest.raises(InputError, match=f"reads {most:,}; shorten the prompt or the answer"):
        list(stream(expected, session))
