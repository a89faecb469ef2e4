"""Benchmarks: what is written says what was measured, and a clear loss is noticed."""

from __future__ import annotations

import json

import pytest
from conftest import ROOT

from benchmarks import false_alarms, feature_choice, page
from benchmarks.__main__ import RESULTS, compare
from benchmarks.cases import CASES
from benchmarks.harness import _compared, _exponent

RESULT = json.loads(RESULTS.read_text("utf-8"))


def measured(**ratios: float) -> dict:
    return {"case": {"rivals": {r: {"times_faster_median": v} for r, v in ratios.items()}}}


def test_page_and_readme_say_what_the_results_say():
    assert page.PAGE.read_text("utf-8") == page.page(RESULT), "python -m benchmarks.page"
    text = page.README.read_text("utf-8")
    assert text == page.readme(text, RESULT), "python -m benchmarks.page"


@pytest.mark.parametrize(
    ("module", "said"),
    [(feature_choice, feature_choice.section), (false_alarms, false_alarms.sentence)],
    ids=["choices", "false-alarms"],
)
def test_the_method_says_what_the_simulations_gave(module, said):
    text = feature_choice.PAGE.read_text("utf-8")
    part = said(json.loads(module.RESULT.read_text("utf-8")))
    assert text == feature_choice.written(text, part, module.BEGIN, module.END)


def test_the_sentence_on_false_alarms_counts_every_population():
    smooth = [
        {"kind": kind, "customers": n, "populations": 25, "alarms": 1, "cannot_be_told": 0}
        for n in (2_000, 10_000) for kind in "ab"
    ]  # fmt: skip
    planted = [{"k": k, "populations": 5, "found": 4} for k in (2, 3)]
    said = false_alarms.sentence({"smooth": smooth, "planted": planted})
    assert "of 50 populations of 10,000 customers, of 2 kinds of continuum, 2 were called" in said
    assert "(4.0%, 95% interval 1.1% to 13.5%)" in said
    assert "Of 10 sets of 2 to 3 planted blobs the rule found the right number in 8 (80%)." in said


def test_a_choice_is_better_only_where_it_is_ahead_on_every_data_set():
    def row(data, cut, choice, share):
        known = {"customers": 50, "agreement": 0.9, "fidelity": 0.9, "largest": 0.5}
        return {"data": data, "cut": cut, "choice": choice, "revenue_share": share} | known

    rows = [row(d, c, "as shipped", 0.5) for d in "AB" for c in "12"]
    ahead = [row(d, c, "4 segments", 0.52) for d in "AB" for c in "12"]
    assert "These are: 4 segments." in feature_choice.conclusion(
        feature_choice.summary(rows + ahead)
    )
    ahead[-1]["revenue_share"] = 0.5
    said = feature_choice.conclusion(feature_choice.summary(rows + ahead))
    assert "**None is**" in said and "meets all of that on 1 of 2" in said


def test_every_result_is_of_a_case_that_exists_with_its_bar():
    cases = {case.name: case for case in CASES}
    assert set(RESULT["cases"]) <= set(cases)
    for name, result in RESULT["cases"].items():
        case = cases[name]
        assert (result["bar"], result["least"], result["most_mb"]) == (
            case.bar, case.least, case.most_mb
        ), name  # fmt: skip
        assert set(result["rivals"]) <= set(case.rivals)


def test_missed_bars_are_said():
    result = RESULT["cases"]["kmeans"]
    for least, said in ((0.001, "held"), (1000.0, "**missed**")):
        ((*_, verdict),) = page.rows_of(
            {"cases": {"kmeans": result | {"least": {"scikit_learn": least}}}}
        )
        assert verdict == said


@pytest.mark.parametrize(("now", "code"), [(2.1, 0), (2.0, 0), (1.9, 1)])
def test_only_less_than_half_of_the_committed_ratio_fails(now, code, capsys):
    assert compare({"case": {"rival": 4.0}}, measured(rival=now)) == code
    assert ("LOST" in capsys.readouterr().out) == bool(code)


def test_rival_without_a_committed_ratio_does_not_fail(capsys):
    assert compare({}, measured(rival=0.1)) == 0
    assert "no committed result" in capsys.readouterr().out


def test_ratio_is_of_each_pair_and_not_of_all_medians():
    sides = [(1.0, 2.0), (10.0, 30.0), (1.0, 4.0)]  # ratios 2, 3, 4
    pairs = [
        tuple({"seconds": s, "processor": s, "peak_mb": 1, "answer": {}} for s in pair)
        for pair in sides
    ]
    found = _compared(pairs)
    assert [found[f"times_faster_{n}"] for n in ("min", "median", "max")] == [2.0, 3.0, 4.0]


def test_exponent_of_doubling_rows_and_quadrupling_time_is_two():
    points = [{"rows": n, "processor_seconds": n * n / 100} for n in (10, 20, 40)]
    assert _exponent(points) == 2.0


def test_inputs_are_the_same_every_time(tmp_path):
    from benchmarks import data

    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    for make in (data.order_lines, data.prepared_customers):
        first, second = (make(folder, 2000) for folder in folders)
        if first.suffix == ".npy":
            assert first.read_bytes() == second.read_bytes()
        else:
            import pandas as pd

            tables = [pd.read_parquet(path) for path in (first, second)]
            keys = list(tables[0].columns)
            a, b = (t.sort_values(keys).reset_index(drop=True) for t in tables)
            pd.testing.assert_frame_equal(a, b)


@pytest.mark.parametrize("case", [c for c in CASES if c.module != "rerun"], ids=lambda c: c.name)
def test_both_sides_of_a_case_do_the_same_work(case, tmp_path):
    import importlib

    from benchmarks.harness import _installed

    module = importlib.import_module(f"benchmarks.{case.module}")
    size = 2000
    if case.module == "scoring_file":
        from benchmarks import data

        path = data.prepared_customers(tmp_path, size)
    else:
        path = case.make(tmp_path, size)
    own = getattr(module, case.own)(path=str(path), size=size)()
    for rival in _installed(case.rivals):
        other = getattr(module, rival)(path=str(path), size=size)()
        assert case.agree(own, other), (rival, own, other)
    assert (ROOT / "benchmarks" / f"{case.module}.py").exists()
