"""The pocket detector: geometry, assignment, suppression, and that its loss can be learned to zero error."""

from __future__ import annotations

import pytest
import torch

from halluapp.grounding.detectors.pocket_head import DetectionHead, cell_centres, decode, iou, load, save
from halluapp.recipes.pocket.detector_loss import assign, detection_loss


def test_iou_of_known_boxes():
    a = torch.tensor([0.0, 0.0, 0.5, 0.5])
    assert float(iou(a, a)) == pytest.approx(1)
    assert float(iou(a, torch.tensor([0.25, 0.0, 0.75, 0.5]))) == pytest.approx(1 / 3)
    apart = torch.tensor([0.75, 0.75, 1.0, 1.0])
    assert float(iou(a, apart)) == 0
    assert -1 < float(iou(a, apart, generalised=True)) < 0


def test_cells_belong_to_the_box_around_them_and_take_the_smallest():
    large, small = [0.0, 0.0, 1.0, 1.0], [0.4, 0.4, 0.6, 0.6]
    target, boxes, has_box = assign([(0, large), (1, small)], labels=2)
    middle = int(((cell_centres(16) - 0.53).abs().sum(1)).argmin())
    assert target[middle].tolist() == [1, 1]  # several labels a cell
    assert boxes[middle].tolist() == pytest.approx(small)
    assert has_box[middle]
    assert not has_box[0]


def test_a_tiny_box_still_owns_a_cell():
    target, _, has_box = assign([(0, [0.90, 0.90, 0.91, 0.91])], labels=1)
    assert has_box.sum() >= 1
    assert target.sum() == has_box.sum()


def test_no_objects_no_positives():
    target, _, has_box = assign([], labels=3)
    assert target.sum() == 0
    assert not has_box.any()


def test_head_learns_one_photo_and_decodes_it():
    torch.manual_seed(0)
    head = DetectionHead(["dog", "cat"], width=32, hidden=32)
    fine, tokens = torch.randn(1, 120, 16, 16), torch.randn(1, 64, 32)
    truth = [0.1, 0.2, 0.5, 0.7]
    target, boxes, has_box = (part[None] for part in assign([(0, truth)], 2))
    known, present = torch.ones(1, 2), torch.tensor([[1.0, 0.0]])
    optimizer = torch.optim.Adam(head.parameters(), 3e-3)
    for _ in range(120):
        loss = detection_loss(head(fine, tokens), target, boxes, has_box, known, present)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = decode(head.eval()(fine, tokens), head.labels, least=0.4)[0]
    assert found[0][0] == "dog"
    assert found[0][1] > 0.6
    assert float(iou(torch.tensor(found[0][2]), torch.tensor(truth))) > 0.7
    assert all(label == "dog" for label, _, _ in found)


def test_unknown_labels_cost_nothing():
    head = DetectionHead(["dog", "cat"], width=32, hidden=16)
    fine, tokens = torch.randn(1, 120, 16, 16), torch.randn(1, 64, 32)
    target, boxes, has_box = (part[None] for part in assign([(0, [0.1, 0.1, 0.6, 0.6])], 2))
    known = torch.tensor([[1.0, 0.0]])
    detection_loss(head(fine, tokens), target, boxes, has_box, known, torch.tensor([[1.0, 0.0]])).backward()
    assert head.label.weight.grad[1].abs().sum() == 0
    assert head.label.weight.grad[0].abs().sum() > 0


def test_saved_head_reads_back(tmp_path):
    head = DetectionHead(["dog", "cat"])
    save(head, tmp_path, {"dog": 0.3, "cat": 0.4}, {"note": 1})
    again, about = load(tmp_path)
    assert about["labels"] == ["dog", "cat"]
    assert about["thresholds"]["cat"] == 0.4
    fine, tokens = torch.randn(1, 120, 16, 16), torch.randn(1, 64, 320)
    with torch.no_grad():
        for a, b in zip(head.eval()(fine, tokens), again(fine, tokens), strict=True):
            assert torch.allclose(a, b, atol=2e-2)


def test_no_number_of_boxes_of_one_label_hides_another_label():
    """More than 300 cells of people may lie above the best cell of a dog, and more than 100 boxes survive."""
    grid, names = 20, ["person", "dog"]
    centres = cell_centres(grid)
    boxes = torch.cat([centres - 0.45 / grid, centres + 0.45 / grid], -1)[None]  # none overlaps another
    logits = torch.full((1, grid * grid, 2), -9.0)
    logits[..., 0] = 4.0
    logits[0, 7, 1] = 2.0
    found = decode((logits, boxes, torch.full((1, 2), 6.0)), names, least=0.05)[0]
    assert sum(label == "person" for label, _, _ in found) == grid * grid
    assert [box for label, _, box in found if label == "dog"] == [pytest.approx(boxes[0, 7].tolist(), abs=1e-4)]
    assert [score for _, score, _ in found] == sorted((score for _, score, _ in found), reverse=True)


def test_suppression_is_among_the_boxes_of_one_label():
    box = torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.5, 0.52], [0.6, 0.6, 0.9, 0.9]])[None]
    logits = torch.tensor([[[3.0, 2.0], [2.0, 3.0], [1.0, -9.0]]])
    found = decode((logits, box, torch.full((1, 2), 9.0)), ["man", "person"], least=0.05)[0]
    assert [label for label, _, _ in found].count("man") == 2  # its second box over the first is gone
    assert [label for label, _, _ in found].count("person") == 1
