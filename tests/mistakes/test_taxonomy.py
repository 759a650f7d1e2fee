"""Labels in any dress are read, unknown ones are `other`, and a user's own file is checked."""

from pathlib import Path

import pytest

from lema_ray.config import ConfigError
from lema_ray.mistakes.taxonomy import load_taxonomy

LEMMA = load_taxonomy()


def test_the_shipped_taxonomy_is_the_papers() -> None:
    assert [t.code for t in LEMMA.types] == ["CA", "CO", "CV", "HA", "UC", "OP", "FC", "MS", "CS", "QM", "CC", "NO"]
    assert {t.code for t in LEMMA.types if t.inject} == {"CA", "CO", "FC", "MS", "QM", "CC"}
    assert sum(LEMMA.prior("arithmetic").values()) == pytest.approx(1)
    assert LEMMA.prior("arithmetic")["QM"] > LEMMA.prior("arithmetic")["CA"] > 0
    assert LEMMA.prior("choice")["NO"] == pytest.approx(1 / 12)


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("CA", "CA"), ("ca", "CA"), ("`calculation_error`", "CA"), ("**Calculation Error**.", "CA"),
        ("referencing_previous_step_value_error", "CS"), ('"NO"', "NO"), ("no idea", "other"), ("", "other"),
        ("Calculation (CA)", "CA"), ("The type is a missing step, not a calculation error", "MS"),
        ("question understanding error", "QM"), ("formula", "other"), ("spelling", "other"), ("coffee", "other"),
    ],
)  # fmt: skip
def test_labels_are_read_however_they_are_dressed(label: str, code: str) -> None:
    assert LEMMA.read(label) == code


def test_every_name_and_alias_reads_as_its_own_type() -> None:
    assert all(LEMMA.read(n) == t.code for t in LEMMA.types for n in (t.code, t.name, *t.aliases))


def test_a_taxonomy_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("types:\n- {code: S, name: sign, meaning: a sign is lost, aliases: [minus], inject: true}\n")
    mine = load_taxonomy(str(path))
    assert mine.read("lost minus") == "S" and mine.read("calculation") == "other" and mine["S"].inject


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("types: []", "types"),
        ("- x", "types"),
        ("types: [{code: A}]", "types.0"),
        ("types: [{code: NO, name: n, meaning: m}]", "quote NO"),
        ("types: [{code: A, name: x, meaning: m}, {code: B, name: X, meaning: m}]", "names both 'A' and 'B'"),
        ("types: [{code: other, name: x, meaning: m}, {code: B, name: Other, meaning: m}]", "names both"),
        ("types: [{code: A, name: x, meaning: m}]\npriors: {math: {B: 1}}", "priors.math"),
        ("types: [", "not valid YAML"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        load_taxonomy(str(path))
    with pytest.raises(ConfigError, match="there is no"):
        load_taxonomy("unheard_of")
