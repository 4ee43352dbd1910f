"""Texts: windows of characters, each with the next one as its label."""

import re
from pathlib import Path

import pytest
import torch

from bnbench.data import Examples, Raw, as_raw, fingerprint, load
from bnbench.data.texts import sums, text
from bnbench.errors import BnbenchError, DataMissing, InvalidRequest
from bnbench.notices import heard
from bnbench.spec import Choice, Split

SPLIT = Split(seed=0, validation=0.2, test=0.25, train=None)
POEM = "So much depends\nupon\n\na red wheel\nbarrow\nglazed with rain\nwater\nbeside the white\nchickens\n"


def write(folder: Path, content: str = POEM) -> Path:
    (folder / "poem.txt").write_text(content, encoding="utf-8")
    return folder


def spelled(raw_classes: tuple[str, ...], codes: torch.Tensor) -> str:
    return "".join(raw_classes[code] for code in codes.tolist()).replace("\\n", "\n")


def test_windows_and_their_labels_are_the_text(tmp_path: Path) -> None:
    raw = text(write(tmp_path), path="poem.txt", context=6)
    count = (len(POEM) - 1) // 6
    assert raw.train_x.shape == (count, len(raw.classes), 1, 6) and raw.train_x.dtype == torch.uint8
    assert raw.train_y.shape == (count, 6) and raw.sequences and raw.test_x is None
    assert torch.equal(raw.train_x.sum(1), torch.ones(count, 1, 6, dtype=torch.int64)), "one character at a place"
    assert spelled(raw.classes, raw.train_x.argmax(1).flatten()) == POEM[: 6 * count]
    assert spelled(raw.classes, raw.train_y.flatten()) == POEM[1 : 6 * count + 1]
    assert raw.classes == ("\\n", *sorted(set(POEM[: 6 * count + 1]) - {"\n"}))


def test_a_mark_at_the_beginning_and_ends_of_lines_of_other_systems_are_no_characters(tmp_path: Path) -> None:
    plain = text(write(tmp_path), path="poem.txt", context=4)
    (tmp_path / "other.txt").write_bytes(b"\xef\xbb\xbf" + POEM.replace("\n", "\r\n").encode())
    other = text(tmp_path, path="other.txt", context=4)
    assert torch.equal(plain.train_x, other.train_x) and plain.classes == other.classes


def test_the_classes_are_characters_of_any_script_in_their_order(tmp_path: Path) -> None:
    raw = text(write(tmp_path, "\U0001f600\u00e9a\tz\u200b" * 20), path="poem.txt", context=8)
    assert raw.classes == ("\\t", "a", "z", "\u00e9", "\\u200b", "\U0001f600")


def test_the_text_that_is_made_is_right_sums_and_the_same_every_time(tmp_path: Path) -> None:
    made = sums()
    *lines, _ = made.split("\n")
    found = [re.fullmatch(r"(\d+)\+(\d+)=(\d+)", line) for line in lines]
    values = [tuple(map(int, one.groups())) for one in found if one]
    assert len(values) == len(lines) == 7059 and len(made) == 65_537
    assert all(first + second == total and max(first, second) < 100 for first, second, total in values)
    assert {first for first, _, _ in values} == {second for _, second, _ in values} == {*range(100)}
    assert made.startswith("41+21=62\n33+95=128\n18+67=85\n")
    assert text(tmp_path).classes == ("\\n", "+", *"0123456789", "=")
    assert fingerprint(Choice.of("text", {"path": "", "context": 32}), tmp_path) == "d2cbbfceb275"


def test_parts_are_windows_that_stay_as_they_are(tmp_path: Path) -> None:
    data = load(Choice.of("text", {"path": "poem.txt", "context": 4}), SPLIT, write(tmp_path))
    assert data.label_shape == (4,) and data.shape == (data.classes, 1, 4)
    assert data.mean.tolist() == [0] * data.classes and data.std.tolist() == [1] * data.classes
    assert [len(part) for part in (data.train, data.validation, data.test)] == [13, 3, 6]
    windows = [POEM[at : at + 5] for at in range(0, len(POEM) - 4, 4)]
    names = text(tmp_path, path="poem.txt", context=4).classes
    found = []
    for part in (data.train, data.validation, data.test):
        inputs, labels = part.x.argmax(1)[:, 0], part.y
        found += [spelled(names, torch.cat([a[:1], b])) for a, b in zip(inputs, labels, strict=True)]
    assert sorted(found) == sorted(windows)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"expected .*poem\.tx, with text in UTF-8\. Did you mean poem\.txt\?"):
        text(write(tmp_path), path="poem.tx")


@pytest.mark.parametrize(
    ("content", "context", "says"),
    [
        ("", 32, r"poem\.txt holds 0 characters; dataset\.context=32 needs at least 321, for 10 examples"),
        ("a" * 40, 4, r"holds 40 characters; dataset\.context=4 needs at least 41"),
        ("a" * 41, 4, r"holds one character only; at least 2 are needed"),
        (POEM, 0, r"dataset\.context=0: must be a whole number, 1 or more"),
    ],
)
def test_texts_that_cannot_be_used(content: str, context: int, says: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=says):
        text(write(tmp_path, content), path="poem.txt", context=context)


def test_no_text_and_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_bytes(b"\xff\xfe\x00" * 200)
    with pytest.raises(BnbenchError, match=r"poem\.txt: must be text in UTF-8: 'utf-8' codec can't decode"):
        text(tmp_path, path="poem.txt")
    with pytest.raises(BnbenchError, match=r"must be a regular file, and is a folder"):
        text(tmp_path, path=".")


def test_text_is_neither_cropped_nor_flipped_nor_in_domains(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"text cannot be cropped or flipped; set pad=0 flip=false"):
        load(Choice.of("text", {"flip": True}), SPLIT, tmp_path)
    with pytest.raises(InvalidRequest, match=r"dataset=text has text, which has no domains; set domains=\[\]"):
        load(Choice.of("text"), SPLIT, tmp_path, domains=("plain", "blur_1"))


def test_a_part_without_a_window_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"split\.validation=0\.01: every part needs an example; of 22 examples"):
        load(Choice.of("text", {"path": "poem.txt", "context": 4}), Split(0, 0.01, 0.25, None), write(tmp_path))


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (torch.zeros(4, dtype=torch.int64), r"train_y must be a non-empty int64 tensor \[N, W\]"),
        (torch.zeros(4, 2, dtype=torch.int64), r"train_y must have a label for each of 3 positions, received 2"),
        (torch.full((4, 3), 2), r"train_y must hold 0\.\.1, received 2\.\.2"),
    ],
)
def test_labels_of_positions_are_checked(y: torch.Tensor, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        as_raw("mine", Raw(torch.zeros(4, 2, 1, 3, dtype=torch.uint8), y, classes=("a", "b"), sequences=True))


def test_without_a_word_of_sequences_labels_are_of_examples() -> None:
    with pytest.raises(InvalidRequest, match=r"train_y must be a non-empty integer tensor \[N\]"):
        as_raw("mine", Raw(torch.zeros(4, 2, 1, 3, dtype=torch.uint8), torch.zeros(4, 3, dtype=torch.int64)))


def test_what_does_not_fit_into_memory_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, told = text(tmp_path), list[str]()
    monkeypatch.setenv("BNBENCH_DATA_MEMORY", "1KB")
    with heard(told.append):
        mapped = text(tmp_path)
    assert torch.equal(whole.train_x, mapped.train_x) and "dataset=text: 0.8 MiB are more than" in told[0]


def test_examples_are_chosen_with_all_their_labels() -> None:
    examples = Examples(torch.zeros(5, 2, 1, 3), torch.arange(15).view(5, 3))
    assert len(examples) == 5 and examples[torch.tensor([3, 0])].y.tolist() == [[9, 10, 11], [0, 1, 2]]
