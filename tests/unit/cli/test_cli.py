"""The command line: help without heavy imports, one clear line and exit code 2 on bad input."""

from __future__ import annotations

import subprocess
import sys

import pytest

from halluapp.cli import common
from halluapp.cli import main as cli
from halluapp.training.hallu_space.command import parse_layers


def test_help_is_instant():
    code = "import sys; import halluapp.cli.main as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n" + (
        "assert not {'torch', 'transformers', 'gradio'} & set(sys.modules), 'heavy imports'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in ("compare", "evaluate", "halluspace", "bench", "serve"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["compare", "no-such-photo.jpg", "--prompt", "hello"],
        ["compare", "no-such-photo.jpg", "--prompt", "hello", "--methods", "baseline,magic"],
        ["compare", "no-such-photo.jpg", "--prompt", "hello", "--set", "vdd.alpha"],
        ["compare", "no-such-photo.jpg", "--prompt", "hello", "--set", "vdd.gamma=1"],
        ["compare", "no-such-photo.jpg", "--prompt", "hello", "--methods", "baseline", "--set", "vdd.alpha=1"],
        ["compare", "no-such-photo.jpg", "--prompt", "hello", "--max-new-tokens", "0"],
        ["evaluate", "no-such-folder"],
        ["halluspace", "no-such-file.jsonl", "--out", "x"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments, capsys):
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("halluapp: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_methods_and_parameters_from_the_command_line():
    options = cli.parser().parse_args(
        [
            "compare",
            "x.jpg",
            "--prompt",
            "p",
            "--methods",
            "vdd, baseline",
            "--set",
            "vdd.alpha=0.5",
            "--set",
            "vdd.reference=both",
        ]
    )
    vdd, baseline = common.methods_of(options)
    assert (vdd.name, vdd.alpha, vdd.reference, baseline.name) == ("vdd", 0.5, "both", "baseline")


def test_layers():
    assert parse_layers("", 6) == [3, 4, 5]
    assert parse_layers("16-31", 32) == list(range(16, 32))
    assert parse_layers("2", 6) == [2]
    for wrong in ("3-9", "5-3", "a-b", "-2"):
        with pytest.raises(ValueError, match="Layers"):
            parse_layers(wrong, 6)


def test_a_phone_photo_gives_texts_and_every_form_of_the_report(tmp_path, capsys):
    from PIL import Image

    from halluapp import report
    from halluapp.data import scenes

    photo = tmp_path / "phone.jpg"
    scene = scenes.render("street")[0].resize((4032, 3024))
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright: the file lies on its side
    scene.rotate(90, expand=True).save(photo, quality=70, exif=exif)
    forms = [tmp_path / f"report.{suffix}" for suffix in ("json", "html", "md")]
    arguments = ["compare", str(photo), "--prompt", "Describe this image in detail.", "--max-new-tokens", "6"]
    names = ["--json", "--html", "--markdown"]
    assert cli.main(arguments + [str(x) for pair in zip(names, forms, strict=True) for x in pair]) == 0
    comparison = report.loads(forms[0].read_text())
    assert (comparison["photo"]["width"], comparison["photo"]["height"]) == (4032, 3024)
    assert len(comparison["panels"]) == 5
    assert all(panel["error"] is None and panel["text"] for panel in comparison["panels"])
    page = forms[1].read_text()
    assert "data:image/jpeg;base64," in page
    assert len(page) < 400_000
    assert forms[2].read_text().startswith("# Comparison")
    assert "baseline" in capsys.readouterr().out


def test_the_old_name_of_halluspace_still_works_and_says_the_new_one(capsys):
    assert cli.main(["calibrate", "no-such-file.jsonl", "--out", "x"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "`halluspace`" in first
    assert second.startswith("halluapp: ")


def test_the_recipe_of_the_embedded_model_says_where_it_went(capsys):
    assert cli.main(["pocket", "train", "--data", "photos"]) == 2
    assert "python -m halluapp.recipes.pocket train --data photos" in capsys.readouterr().err


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("halluapp 0")
