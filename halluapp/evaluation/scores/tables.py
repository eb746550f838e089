"""The result of an evaluation as text, and its comparison with the baseline as text or Markdown."""

from __future__ import annotations

from typing import Any

COMPARISON = (
    "method", "absent of named", "recall", "absent at equal recall", "absent at equal length", "true / false objects",
    "object 3 times", "words", "yes/no", "ECE",
)  # fmt: skip
LEGEND = (
    "Differences to the baseline in brackets, * where the 95 % interval over photos holds no 0. absent of named: "
    "CHAIR_i. Equal recall, equal length: method minus baseline when the texts of the one that finds (or says) more "
    "are cut at a common share of their words until both agree. true / false objects: distinct ones a text. "
    "object 3 times: texts that name one object three times or more. ECE: of the probability of yes or no."
)


def table(result: dict[str, Any]) -> str:
    """The result as a text table, intervals under the scores that the methods are judged by.

    unparsed: answers that say neither yes nor no, of all; the official rule counts them as yes.
    """
    head = f"{'method':<14}{'CHAIR_i':>18}{'CHAIR_s':>9}{'recall':>8}{'words':>7}"
    head += f"{'accuracy':>21}{'F1':>7}{'yes':>7}{'unparsed':>10}"
    lines = [f"{result['photos']} photos, {result['vocabulary']} vocabulary, 95 % intervals over photos"]
    if count := len(result["left_out"]):
        lines.append(f"{count} left out; left_out in the JSON says which and why")
    if (answers := result.get("answers")) and answers["left_out"]:
        unused = answers["read"] - answers["used"]
        lines.append(
            f"{unused} of {answers['read']} answers are left out; answers.left_out in the JSON says which and why"
        )
    lines += [*result["notes"], head]
    for row in result["methods"]:
        if row["error"]:
            lines.append(f"{row['method']:<14}{row['error']}")
        else:
            lines.append(f"{row['method']:<14}" + _chair_cells(row) + _pope_cells(row))
    if rows := comparison(result):
        widths = [max(len(cells[column]) for cells in (COMPARISON, *rows)) for column in range(len(COMPARISON))]
        lines += ["", *(_aligned(cells, widths) for cells in (COMPARISON, *rows)), LEGEND]
    if any(row.get("pope", {}).get("unparsed") for row in result["methods"]):
        lines.append("unparsed: answers that say neither yes nor no; POPE's rule counts them as yes")
    return "\n".join(lines)


def markdown(result: dict[str, Any]) -> str:
    """The comparison with the baseline as a Markdown table, with what it was measured on and what its columns are."""
    lines = [f"{result['data']}: {result['photos']} photos, vocabulary `{result['vocabulary']}`.", ""]
    lines += [f"| {' | '.join(COMPARISON)} |", "|---" * len(COMPARISON) + "|"]
    lines += [f"| {' | '.join(cells)} |" for cells in comparison(result)]
    return "\n".join([*lines, "", LEGEND, ""])


def comparison(result: dict[str, Any]) -> list[list[str]]:
    """Cells of the comparison, a row a method that was described; [] without texts or with one method alone."""
    rows = [row for row in result["methods"] if row["error"] is None and "chair" in row]
    return [_comparison_cells(row) for row in rows] if len(rows) > 1 else []


def _comparison_cells(row: dict[str, Any]) -> list[str]:
    chair, pope = row["chair"], row.get("pope")
    differences, matched = row.get("differences", {}), row.get("matched", {})
    objects = f"{chair['correct_objects_per_caption']:.2f} / {chair['false_objects_per_caption']:.2f}"
    cells = [row["method"]]
    cells += [_with_difference(chair, differences.get("chair"), name) for name in ("chair_i", "recall")]
    cells += [_matched_cell(matched.get(by)) for by in ("recall", "length")]
    cells += [objects, _with_difference(chair, differences.get("chair"), "repetition"), f"{chair['length']:.1f}"]
    if not pope:
        return [*cells, "–", "–"]
    return [*cells, *(_with_difference(pope, differences.get("pope"), name) for name in ("accuracy", "ece"))]


def _with_difference(scores: dict[str, Any], differences: dict[str, Any] | None, name: str) -> str:
    if scores.get(name) is None:
        return "–"
    difference = differences and differences.get(name)
    return f"{scores[name]:.3f}" + (f" ({_signed(difference)})" if difference else "")


def _matched_cell(match: dict[str, Any] | None) -> str:
    if not match or match["differences"]["chair_i"]["value"] is None:
        return "–"
    difference = match["differences"]["chair_i"]
    return f"{_signed(difference)}{_spread([difference['low'], difference['high']])}"


def _signed(difference: dict[str, Any]) -> str:
    """A difference with its sign, and * where its interval holds no 0."""
    value, low, high = (difference[name] for name in ("value", "low", "high"))
    if value is None:
        return "–"
    clear = low is not None and high is not None and (low > 0 or high < 0)
    return f"{value:+.3f}{'*' if clear else ''}"


def _aligned(cells: Any, widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _chair_cells(row: dict[str, Any]) -> str:
    if "chair" not in row:
        return " " * 42
    score = row["chair"]
    text = f"{score['chair_i']:.3f}{_spread(row['intervals']['chair']['chair_i'])}".rjust(20)
    return text + f"{score['chair_s']:7.3f}{score['recall']:8.3f}{score['length']:7.1f}"


def _pope_cells(row: dict[str, Any]) -> str:
    if "pope" not in row:
        return ""
    score = row["pope"]
    text = f"{score['accuracy']:.3f}{_spread(row['intervals']['pope']['accuracy'])}".rjust(21)
    unparsed = f"{score['unparsed']}/{score['count']}"
    return text + f"{score['f1']:7.3f}{score['yes_ratio']:7.3f}{unparsed:>10}"


def _spread(interval: list[float | None]) -> str:
    low, high = interval
    return "" if low is None or high is None else f" [{low:.3f} {high:.3f}]"
