"""A comparison from the request to the report, on tiny real models; bad requests get one sentence each."""

from __future__ import annotations

import io
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny import KINDS, OPEN, YES_NO, folder, hooks, lvlm, photo, run, tokenizer, visual

from halluapp import comparison, report
from halluapp.comparison import Loaded, make_request, stream, texts, texts_of
from halluapp.decoding.events import Decoded, Detected, Done, Failed, Finished, Started, Status
from halluapp.errors import InputError
from halluapp.methods import VDD, create, defaults
from halluapp.settings import Settings


class Finder:
    """A detector as `grounding.detectors.Detector` describes it, which always sees one dog."""

    name = "finder"
    labels = ("dog", "cat", "person")

    def __init__(self) -> None:
        self.photos: list[Image.Image] = []

    def detect(self, photo: Image.Image) -> list[dict]:
        self.photos.append(photo)
        return [{"label": "dog", "score": 0.9, "box": [0.1, 0.1, 0.6, 0.9]}]


def _loaded(kind: str = "llava", quantization: str = "nf4") -> Loaded:
    return Loaded(lvlm(kind, quantization), Finder())


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
    {"threshold": -0.1}, {"threshold": 1.1}, {"threshold": "high\nlow"},
]  # fmt: skip


@pytest.mark.parametrize("change", BAD, ids=lambda change: repr(change)[:60])
def test_a_bad_request_gets_one_sentence(change) -> None:
    good = {"photo": photo(), "prompt": OPEN}
    make_request(**good)
    with pytest.raises(InputError) as caught:
        make_request(**{**good, **change})
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and sentence[0].isupper() and len(sentence) < 200


def test_a_good_request_is_checked_and_normalised(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(_png(photo()))
    for source in (path, str(path), path.read_bytes(), photo(), photo().convert("RGBA")):
        request = make_request(source, f"  {OPEN}\n", max_new_tokens=7.0, seed=3)
        assert request.prompt == OPEN and request.photo.mode == "RGB" and request.photo.tobytes() == photo().tobytes()
        assert [method.name for method in request.methods] == defaults()
        assert request.sampling.max_new_tokens == 7 and isinstance(request.sampling.max_new_tokens, int)
    mixed = make_request(photo(), OPEN, ["vdd", create("nullu", rank=2), "baseline"])
    assert [method.name for method in mixed.methods] == ["vdd", "nullu", "baseline"]


@pytest.mark.parametrize("kind", KINDS)
def test_events_come_in_the_documented_order(kind) -> None:
    loaded, request = _loaded(kind), make_request(photo(), YES_NO, max_new_tokens=6, threshold=0.4)
    events = list(stream(request, loaded))
    assert [type(event) for event in events[:3]] == [Status, Detected, Started] and isinstance(events[-1], Done)
    assert not any(isinstance(event, Status | Detected | Started | Done) for event in events[3:-1])
    detected, started, made = events[1], events[2], events[-1].report
    assert detected.labels == Finder.labels and detected.detector == "finder" and len(loaded.detector.photos) == 1
    assert [about["method"] for about in started.methods] == defaults()
    assert all(about["explanation"] and about["title"] and about["summary"] for about in started.methods)
    for name in defaults():
        mine = [event for event in events[3:-1] if event.method == name]
        assert [event.index for event in mine[:-1]] == list(range(len(mine) - 1)) and isinstance(mine[-1], Finished)
        assert all(isinstance(event, Decoded) for event in mine[:-1])
        panel = next(panel for panel in made["panels"] if panel["method"] == name)
        assert panel["text"] == mine[-2].text and panel["error"] is None
        assert [token["id"] for token in panel["tokens"]] == [event.token.id for event in mine[:-1]]
        assert panel["forward_passes"] == mine[-1].forward_passes and panel["reason"] == mine[-1].reason


@pytest.mark.parametrize("kind", KINDS)
def test_the_report_is_strict_json_and_reads_back(kind) -> None:
    request = make_request(photo(), OPEN, max_new_tokens=5, temperature=0.8, seed=9)
    made = list(stream(request, _loaded(kind)))[-1].report
    again = report.loads(json.dumps(made, allow_nan=False))
    assert again == json.loads(report.dumps(made)) == made
    assert made["schema"] == 1 and made["prompt"] == OPEN and made["seed"] == 9
    assert (made["photo"]["width"], made["photo"]["height"]) == photo().size
    assert made["labels"] == list(Finder.labels) and made["detections"][0]["label"] == "dog"
    assert [panel["method"] for panel in made["panels"]] == defaults()
    assert all(panel["parameters"] == create(panel["method"]).parameters() for panel in made["panels"])


def test_the_report_is_what_the_engine_decodes() -> None:
    request = make_request(photo(1), OPEN, max_new_tokens=8)
    made = list(stream(request, _loaded()))[-1].report
    alone = run(lvlm("llava", "nf4"), visual("llava", "nf4", 1), OPEN, list(request.methods), max_new_tokens=8)
    for panel in made["panels"]:
        assert [token["id"] for token in panel["tokens"]] == alone[panel["method"]].ids


@pytest.mark.parametrize("after", [0, 3, 11])
def test_stop_ends_within_a_token_with_a_report(after) -> None:
    request, decoded, end = make_request(photo(), OPEN, max_new_tokens=60), [], None
    for event in stream(request, _loaded(), lambda: len(decoded) >= after):
        decoded.extend([event] if isinstance(event, Decoded) else [])
        end = event
    assert len(decoded) <= after + len(defaults()) and isinstance(end, Done)
    assert {panel["reason"] for panel in end.report["panels"]} == {"stopped"}
    assert sum(len(panel["tokens"]) for panel in end.report["panels"]) == len(decoded)


def test_closing_the_stream_stops_decoding() -> None:
    loaded, request = _loaded(), make_request(photo(), OPEN, max_new_tokens=60)
    events, forwards = stream(request, loaded), []
    probe = loaded.lvlm.layers[0].register_forward_hook(lambda *_: forwards.append(1))
    for event in events:
        if isinstance(event, Decoded) and event.index == 2:
            break
    events.close()
    probe.remove()
    assert len(forwards) == 3 and hooks(loaded.lvlm) == 0


def test_a_method_without_weights_has_its_own_panel(monkeypatch) -> None:
    loaded, request = _loaded(), make_request(photo(), OPEN, max_new_tokens=4)
    plain = list(stream(request, loaded))[-1].report
    monkeypatch.delitem(loaded.lvlm.spaces, "default")
    events = list(stream(request, loaded))
    assert [event.method for event in events if isinstance(event, Failed)] == ["nullu"]
    panels = {panel["method"]: panel for panel in events[-1].report["panels"]}
    assert "HalluSpace" in panels["nullu"]["error"] and panels["nullu"]["tokens"] == [] and not panels["nullu"]["text"]
    for panel in plain["panels"]:
        if panel["method"] != "nullu":
            assert panels[panel["method"]]["tokens"] == panel["tokens"]
    with pytest.raises(InputError, match="HalluSpace"):
        texts(request, loaded)


def test_texts_of_several_requests_equal_each_alone() -> None:
    loaded = _loaded("pocket")
    requests = [make_request(photo(seed), prompt, max_new_tokens=6) for seed, prompt in enumerate((OPEN, YES_NO, OPEN))]
    together = texts_of(requests, loaded)
    assert together == [texts(request, loaded) for request in requests] and not loaded.detector.photos
    for request, made in zip(requests, together, strict=True):
        panels = list(stream(request, loaded))[-1].report["panels"]
        assert made == {panel["method"]: panel["text"] for panel in panels}
    assert texts_of([], loaded) == []
    with pytest.raises(ValueError, match="sampling"):
        texts_of([requests[0], make_request(photo(), OPEN, max_new_tokens=7)], loaded)


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Path:
    """An assets folder like the shipped one: a pocket LVLM of one layer and a detection head, both untrained."""
    from halluapp.pocket import detector, export
    from halluapp.pocket import model as pocket_model

    made = tmp_path_factory.mktemp("assets")
    torch.manual_seed(0)
    model = pocket_model.build(tokenizer(), layers=1)
    model.generation_config.eos_token_id = tokenizer().eos_token_id
    pocket_model.save(model, made / "pocket")
    tokenizer().save_pretrained(made / "pocket")
    export.image_processor().save_pretrained(made / "pocket")
    head = detector.DetectionHead(["dog", "cat"])
    detector.save(head, made / "pocket", dict.fromkeys(head.labels, 0.5), {})
    return made


def test_compare_loads_everything_and_returns_the_report(assets) -> None:
    settings = Settings(assets=assets, device="cpu")
    made = comparison.compare(photo(), OPEN, settings, max_new_tokens=3)
    assert report.validate(made) and made["model"]["quantization"] == "nf4"
    errors = {panel["method"]: panel["error"] for panel in made["panels"]}
    assert {name for name, error in errors.items() if error} == {"nullu", "adavib"}  # nothing lies beside this model
    assert comparison.load(settings) is comparison.load(Settings(assets=assets, device="cpu"))  # once a process


def test_one_pass_of_the_trunk_serves_both(assets) -> None:
    loaded = comparison.load(Settings(assets=assets, device="cpu"))
    passes = []
    probe = loaded.lvlm.model.model.vision_tower.trunk.register_forward_hook(lambda *_: passes.append(1))
    list(stream(make_request(photo(), OPEN, ["baseline"], max_new_tokens=2), loaded))
    probe.remove()
    assert len(passes) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_another_model_gets_the_detectors_own_tower(assets, kind, tmp_path) -> None:
    """Also a model of the pocket class: its neck is not the one that the detector was trained with."""
    made = shutil.copytree(folder(kind), tmp_path / "model")
    loaded = comparison.load(Settings(model=str(made), assets=assets, device="cpu", quantization="none"))
    own = comparison.load(Settings(assets=assets, device="cpu"))
    seen = [list(stream(make_request(photo(), OPEN, ["baseline"], max_new_tokens=1), one))[1] for one in (loaded, own)]
    assert seen[0].detector == "pocket detector"
    assert len(seen[0].detections) == len(seen[1].detections)
    for a, b in zip(seen[0].detections, seen[1].detections, strict=True):
        assert a["label"] == b["label"] and a["score"] == pytest.approx(b["score"], abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_model_cannot_read_is_one_sentence(kind) -> None:
    loaded = _loaded(kind)
    most = loaded.lvlm.context_length
    wanted = make_request(photo(), "wild words " * 150, ["baseline"], max_new_tokens=512)
    assert len(loaded.lvlm.prompt_ids(wanted.prompt, "photo")) + 512 > most
    with pytest.raises(InputError, match=f"reads {most:,}; shorten the prompt or the answer"):
        list(stream(wanted, loaded))
