"""raw -> transactions -> customers -> clusters -> evidence -> actions, stage by stage.

`STAGES` is the whole method in order. A `Run` computes a stage when a table of it is
first asked for, and never twice: results are kept in the stage cache under a key made
of everything that decides them.
"""

from __future__ import annotations

import datetime as dt
import json
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from segmentation import (
    anomalies,
    campaign,
    campaign_plan,
    clean,
    cluster,
    concentration,
    evidence,
    evidence_stages,
    explore,
    features,
    findings,
    findings_stage,
    holdout_stage,
    ingest,
    recommend,
    returns_stage,
    rule_files,
    segments,
    sensitivity_stage,
    special_lines,
    support,
)
from segmentation.compare import RunResult
from segmentation.engine import Engine
from segmentation.errors import ParameterError, SegmentationError
from segmentation.model import Preparation, load_model
from segmentation.params import (
    PATHS,
    Parameters,
    describe,
    parameters_from_notebook,
    resolve_path,
    shown_path,
)
from segmentation.prepare import PreparedGroup, prepare_group
from segmentation.schema import SEGMENT_TYPES
from segmentation.snapshot import Snapshot
from segmentation.stage_cache import StageCache, code_fingerprint, key_of, load_result, save_results

NOT_OF_THE_MODEL = {
    *("location", "currency", "gross_margin", "contact_cost"),
    *("naming_rules", "plays"),
}
"""Parameters that are no part of a model, or would put a path of this machine into it."""


@dataclass(frozen=True)
class Stage:
    """One step of the method.

    ``uses`` are the parameters that decide it, ``needs`` the stages before it, ``gives``
    its results by name.
    """

    name: str
    does: str
    uses: tuple[str, ...]
    needs: tuple[str, ...]
    gives: tuple[str, ...]
    compute: Callable[[Run], dict[str, Any]]


class Run:
    """One execution with one frozen set of parameters.

    ``run["ledger"]`` gives any result by name, computing the stages it needs and no
    others.
    """

    def __init__(
        self,
        parameters: Parameters,
        runs_dir: Path,
        *,
        progress: bool = False,
        snapshot: Snapshot | None = None,
        cache: StageCache | None = None,
    ) -> None:
        self.parameters = parameters
        self.cache = cache or StageCache(runs_dir / ".cache")
        self.progress = progress
        self.reused: dict[str, bool] = {}
        self.snapshot = snapshot or Snapshot(parameters, scratch=self.cache.root)
        self.rules = rule_files.load_all(
            {name: getattr(parameters, name) for name in rule_files.SHIPPED_FILES}
        )

    @property
    def is_sampled(self) -> bool:
        """Whether models are fitted on a sample, and all other customers stay away."""
        return self.parameters.fit_on != "all"

    @property
    def source(self) -> ingest.Source:
        """The source's SELECT and the files found for it."""
        return self.snapshot.source

    @property
    def input_hashes(self) -> dict[str, str]:
        """SHA-256 of every raw table, by file name or table."""
        return {name: entry["sha256"] for name, entry in self.snapshot.inputs.items()}

    def key(self, stage: str) -> str:
        """Key of a stage: its parameters, its inputs, the stages before it, the code."""
        definition = STAGES[stage]
        plain = self.parameters.as_plain()
        values = {name: plain[name] for name in definition.uses}
        if stage == "orders":
            values |= {
                "source": self.source.name,
                "sql": self.source.sql,
                "inputs": self.input_hashes,
                "synthetic": self.source.is_synthetic,
            }
        if stage == "tuning":
            values["scan_to"] = self.scan_to
        for name in {"naming_rules", "plays"} & set(values):
            values[name] = rule_files.fingerprint(self.rules[name])  # a file may change
        return key_of(
            stage, values, [self.key(name) for name in self.needs(stage)], code_fingerprint()
        )

    def needs(self, stage: str) -> tuple[str, ...]:
        """Stages before a stage; the rule for k only where the profile asks it."""
        asks_rule = stage == "segments" and self.parameters.n_clusters == "auto"
        return (*STAGES[stage].needs, *(("structure",) if asks_rule else ()))

    def with_parameters(self, **changed: Any) -> Run:
        """A run on the same cache and snapshot with some parameters changed."""
        return Run(
            self.parameters.model_copy(update=changed),
            self.cache.root.parent,
            progress=self.progress,
            snapshot=self.snapshot,
            cache=self.cache,
        )

    @property
    def scan_to(self) -> int:
        """Largest k that is fitted: ``auto`` always looks at its own range too."""
        parameters = self.parameters
        least = evidence.AUTO_K_RANGE[1] if parameters.n_clusters == "auto" else 2
        return max(parameters.k_max, least)

    def stage(self, name: str) -> Path:
        """Folder of a stage's results, computed first where needed."""
        definition = STAGES[name]
        for needed in self.needs(name):
            self.stage(needed)
        computed = []

        def compute(folder: Path) -> None:
            computed.append(True)
            started = time.perf_counter()
            results = definition.compute(self)
            save_results(folder, results)
            usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            cost = {
                "seconds": round(time.perf_counter() - started, 3),
                "peak_memory_mb": usage // 1024,
            }
            (folder / "cost.json").write_text(json.dumps(cost), encoding="utf-8")

        folder = self.cache.get_or_compute(name, self.key(name), compute)
        self.reused.setdefault(name, not computed)
        return folder

    def parameters_table(self) -> pd.DataFrame:
        """Every parameter with its value, for a page: no path of this machine in it."""
        table = describe(self.parameters)
        for name in PATHS:
            path = shown_path(getattr(self.parameters, name))
            table.loc[table["name"] == name, "value"] = path
        return table.drop(columns="accepted")

    def __getitem__(self, result: str) -> Any:
        """Any result of any stage by its name."""
        for stage in STAGES.values():
            if result in stage.gives:
                return load_result(self.stage(stage.name), result)
        known = ", ".join(name for stage in STAGES.values() for name in stage.gives)
        raise KeyError(f"no result {result!r}; there are {known}")


def open_run(namespace: dict[str, Any]) -> Run:
    """The run that a notebook's parameters ask for; call it right after the parameters.

    Raises
    ------
    ParameterError
        If papermill injected a parameter that does not exist or is out of range.
    """
    parameters, runs_dir = parameters_from_notebook(namespace)
    return Run(parameters, resolve_path(runs_dir))


def _orders(run: Run) -> dict[str, Any]:
    with run.snapshot.opened() as engine:
        source = _ingested(run, engine)
        compute = _customer_table if source.is_customer_table else _transactions
        results = compute(run, engine, source)
        results["overview"]["database"] = engine.description()
        return results


def _transactions(run: Run, engine: Engine, source: ingest.Source) -> dict[str, Any]:
    parameters = run.parameters
    rules = _rules(parameters)
    asked = None if parameters.as_of == "auto" else parameters.as_of
    values = clean.clean(engine, **rules, as_of=asked)
    ledger = clean.ledger(engine)
    as_of = asked or features.last_valid_order(engine)
    if asked is None and parameters.returns == "net":
        # a return after the last valid order is not yet known on that day
        values = clean.clean(engine, **rules, as_of=as_of)
        ledger = clean.ledger(engine)
    if parameters.fit_on == "all":
        customers = features.customer_features(engine, as_of=as_of)
    else:
        customers = features.customer_sample(engine, as_of=as_of, n_customers=parameters.fit_on)
    features.check_exact(customers, scale=_scale(ledger["amount"]))
    lines = explore.lines(engine)
    registered = findings.registration_days(engine)
    return {
        "customer_features": customers,
        "ledger": ledger,
        "line_findings": findings.line_findings(
            engine,
            source,
            customers,
            as_of=as_of,
            first_registration=registered["day"].min().date() if len(registered) else None,
            treatments=clean.treatments(
                zero_amount=parameters.zero_amount, duplicates=parameters.duplicates
            ),
        ),
        "order_days": findings.order_days(engine),
        "registration_days": registered,
        "returned_lines": special_lines.returned_lines(engine, as_of=as_of),
        "special_lines": special_lines.special_lines(engine),
        "raw_columns": ingest.describe_raw(engine, source),
        "lines": lines,
        "monthly": explore.monthly(engine),
        "cohorts": explore.cohorts(engine),
        "quarters": concentration.by_quarter(engine),
        "categories": explore.categories(engine),
        "sql": {
            "source": source.sql,
            "clean": clean.rules_sql(returns=parameters.returns),
            "features": features.FEATURES_SQL,
            "values": {**values, "as_of": as_of.isoformat()},
        },
        "overview": {
            "source": source.name,
            "is_customer_table": False,
            "synthetic": source.is_synthetic or engine.is_synthetic,
            "as_of": as_of.isoformat(),
            "first_order": str(pd.Timestamp(lines["first_order"].item()).date()),
            "last_order": str(pd.Timestamp(lines["last_order"].item()).date()),
            "raw_rows": int(ledger["rows"].iloc[0]),
            "orders": int(lines["orders"].item()),
            "customers": int(ledger["customers"].iloc[-1]),
            "sampled": None if parameters.fit_on == "all" else len(customers),
            "amount_scale": _scale(ledger["amount"]),
        },
    }


def _customer_table(run: Run, engine: Engine, source: ingest.Source) -> dict[str, Any]:
    if run.is_sampled:
        raise ParameterError(
            f"fit_on is {run.parameters.fit_on}, but source {source.name} is a customer table "
            "already; set fit_on: all, or name the source of orders."
        )
    customers = features.read_customer_table(engine, name=source.name)
    exact = engine.query("SELECT customer_id, total_spent FROM customers")
    ledger = clean.customer_table_ledger(exact)
    features.check_exact(customers, scale=_scale(ledger["amount"]))
    empty = pd.DataFrame()
    return {
        "customer_features": customers,
        "ledger": ledger,
        "line_findings": findings.customer_table_findings(exact),
        "order_days": empty,
        "registration_days": empty,
        "returned_lines": pd.DataFrame(columns=list(special_lines.RETURN_COLUMNS)),
        "special_lines": pd.DataFrame(columns=list(special_lines.SPECIAL_COLUMNS)),
        "raw_columns": ingest.describe_raw(engine, source),
        "lines": empty,
        "monthly": empty,
        "cohorts": empty,
        "quarters": empty,
        "categories": pd.DataFrame(
            columns=["dimension", "value", "orders", "customers", "revenue"]
        ),
        "sql": {"source": source.sql, "clean": "", "features": "", "values": {}},
        "overview": {
            "source": source.name,
            "is_customer_table": True,
            "synthetic": source.is_synthetic or engine.is_synthetic,
            "as_of": None,
            "first_order": None,
            "last_order": None,
            "raw_rows": len(customers),
            "orders": None,
            "customers": len(customers),
            "amount_scale": _scale(ledger["amount"]),
        },
    }


def _findings(run: Run) -> dict[str, Any]:
    def outcome(date_repair: str) -> tuple[pd.DataFrame, dict[str, Any]]:
        other = run.with_parameters(date_repair=date_repair)
        return other["customer_features"], other["overview"]

    return findings_stage.all_findings(
        run["line_findings"],
        run["order_days"],
        run["registration_days"],
        outcome=outcome,
        date_repair=run.parameters.date_repair,
    )


def _scale(amounts: pd.Series) -> int:
    return max(max(0, -int(value.as_tuple().exponent)) for value in amounts)


def _prepared(run: Run) -> dict[str, Any]:
    parameters = run.parameters
    table = run["customer_features"]
    features.check_features(table, parameters.features, source=run.source.name)
    table = features.add_segment_type(table, split_pre_register=parameters.split_pre_register)
    results: dict[str, Any] = {"features": table, "groups": {}}
    for kind in [k for k in SEGMENT_TYPES if (table["segment_type"] == k).any()]:
        group = prepare_group(
            table,
            kind,
            names=parameters.features,
            outliers=parameters.outliers,
            winsor_quantile=parameters.winsor_quantile,
            transform=parameters.transform,
            scaler=parameters.scaler,
        )
        constants = vars(group.preparation)
        results["groups"][kind] = {
            "notes": list(group.notes),
            "features": list(group.preparation.features),
            "transform": group.preparation.transform,
            "constants": {
                name: np.asarray(constants[name]).tolist()
                for name in ("low", "high", "lambdas", "center", "scale")
            },
        }
        results[f"prepared_{kind}"] = group.values
        results[f"rows_{kind}"] = group.rows
    return results


def prepared_groups(run: Run) -> dict[str, PreparedGroup]:
    """Every group in prepared space, read back from its stage."""
    folder = run.stage("prepared")
    groups = {}
    for kind, entry in load_result(folder, "groups").items():
        constants = {name: np.array(v, dtype=float) for name, v in entry["constants"].items()}
        preparation = Preparation(
            features=tuple(entry["features"]), transform=entry["transform"], **constants
        )
        groups[kind] = PreparedGroup(
            kind,
            load_result(folder, f"rows_{kind}"),
            load_result(folder, f"prepared_{kind}"),
            preparation,
            tuple(entry["notes"]),
        )
    return groups


def _tuning(run: Run) -> dict[str, Any]:
    parameters = run.parameters
    table = run["features"]
    results: dict[str, Any] = {"centers": {}, "scan": {}}
    scores = []
    for kind, group in prepared_groups(run).items():
        fits = cluster.fit_range(
            group.values,
            table["total_spent"].to_numpy()[group.rows],
            k_values=range(2, run.scan_to + 1),
            n_init=parameters.n_init,
            random_state=parameters.random_state,
            progress=f"k-means, {kind}" if run.progress else "",
        )
        scored = evidence.score_fits(group.values, fits, random_state=parameters.random_state)
        scores.append(scored.scores.assign(segment_type=kind))
        results["centers"][kind] = {
            str(k): {"centers": fit.centers.tolist(), "inertia": fit.inertia}
            for k, fit in fits.items()
        }
        results["scan"][kind] = {"measured": len(scored.measured), "customers": len(group.rows)}
        results[f"measured_{kind}"] = scored.measured
        for k in fits:
            results[f"labels_{kind}_{k}"] = fits[k].labels
            results[f"silhouettes_{kind}_{k}"] = scored.silhouettes[k]
    filled = [table for table in scores if len(table)] or scores[:1]
    results["tuning_k"] = pd.concat(filled, ignore_index=True)[list(evidence.TUNING_COLUMNS)]
    return results


def _anomalies(run: Run) -> dict[str, Any]:
    parameters = run.parameters
    results: dict[str, Any] = {"dbscan_choice": {}}
    grids, curves = [], []
    for kind, group in prepared_groups(run).items():
        fit = anomalies.fit_dbscan(
            group.values, eps=parameters.dbscan_eps, min_samples=parameters.dbscan_min_samples
        )
        results["dbscan_choice"][kind] = {
            "eps": fit.eps,
            "min_samples": fit.min_samples,
            "customers": len(group.rows),
            "anomalies": int(fit.is_noise.sum()),
            "reason": fit.reason,
        }
        results[f"noise_{kind}"] = fit.is_noise
        results[f"core_points_{kind}"] = fit.core_points
        grids.append(fit.grid.assign(segment_type=kind))
        curves.append(fit.curve.assign(segment_type=kind))
    filled = [table for table in grids if len(table)] or grids[:1]
    grid_columns = ["segment_type", "eps", "min_samples", "core", "noise", "noise_share"]
    results["tuning_dbscan"] = pd.concat(filled, ignore_index=True)[grid_columns]
    drawn = [table for table in curves if len(table)] or curves[:1]
    results["k_distance"] = pd.concat(drawn, ignore_index=True)[
        ["segment_type", "share", "distance"]
    ]
    return results


def _segments(run: Run) -> dict[str, Any]:
    tuning, flagged = run.stage("tuning"), run.stage("anomalies")
    choice = load_result(flagged, "dbscan_choice")
    asked = run.parameters.n_clusters == "auto"
    rule = run["k_rule"] if asked else {}
    groups = {
        kind: segments.GroupInputs(
            group=group,
            auto_k=rule[kind]["k"] if asked else None,
            fits=_fits(tuning, kind),
            silhouettes=_silhouettes(tuning, kind),
            measured=load_result(tuning, f"measured_{kind}"),
            eps=choice[kind]["eps"],
            min_samples=choice[kind]["min_samples"],
            is_noise=load_result(flagged, f"noise_{kind}"),
            core_points=load_result(flagged, f"core_points_{kind}"),
        )
        for kind, group in prepared_groups(run).items()
    }
    overview = run["overview"]
    info = {
        "source": overview["source"],
        "as_of": overview["as_of"],
        "parameters": {
            name: value
            for name, value in run.parameters.as_plain().items()
            if name not in NOT_OF_THE_MODEL
        },
        "inputs": run.input_hashes,
        "naming_rules": rule_files.fingerprint(run.rules["naming_rules"]),
    }
    built = segments.build(
        run["features"],
        groups,
        parameters=run.parameters,
        rules=run.rules["naming_rules"],
        amount_scale=overview["amount_scale"],
        info=info,
    )
    if not run.is_sampled:
        segments.reconcile(built["profile"], run["ledger"])
    return built


def _fits(tuning: Path, kind: str) -> dict[int, cluster.Clustering]:
    return {
        int(k): cluster.Clustering(
            load_result(tuning, f"labels_{kind}_{k}"),
            np.array(fit["centers"], dtype=float),
            fit["inertia"],
        )
        for k, fit in load_result(tuning, "centers")[kind].items()
    }


def _silhouettes(tuning: Path, kind: str) -> dict[int, np.ndarray]:
    return {
        int(k): load_result(tuning, f"silhouettes_{kind}_{k}")
        for k in load_result(tuning, "centers")[kind]
    }


def _structure(run: Run) -> dict[str, Any]:
    groups, tuning = prepared_groups(run), run.stage("tuning")
    return evidence_stages.structure(
        groups,
        run["tuning_k"],
        {kind: _silhouettes(tuning, kind) for kind in groups},
        random_state=run.parameters.random_state,
        progress=run.progress,
    )


def _stability(run: Run) -> dict[str, Any]:
    return evidence_stages.stability(
        prepared_groups(run),
        run["features"],
        run["segments"],
        rules=run.rules["naming_rules"],
        parameters=run.parameters,
        progress=run.progress,
    )


def _anomaly_evidence(run: Run) -> dict[str, Any]:
    groups, flagged = prepared_groups(run), run.stage("anomalies")
    return evidence_stages.anomaly_evidence(
        groups,
        run["features"],
        run["segments"],
        run["tuning_dbscan"],
        run["dbscan_choice"],
        {kind: load_result(flagged, f"core_points_{kind}") for kind in groups},
        parameters=run.parameters,
        progress=run.progress,
    )


def _sensitivity(run: Run) -> dict[str, Any]:
    policy = run.parameters.returns
    tables: dict[str, pd.DataFrame] = {policy: run["features"]}
    if run.is_sampled:  # another policy would draw other customers
        return _sensitivity_of(run, tables)
    other = run.with_parameters(returns="net" if policy == "exclude" else "exclude")
    excluding = run if policy == "exclude" else other
    returned = excluding["ledger"].set_index("rule").at["returned", "rows"]
    if returned:
        tables[other.parameters.returns] = other["features"]
    return _sensitivity_of(run, tables)


def _sensitivity_of(run: Run, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    return sensitivity_stage.sensitivity(
        tables,
        run["segments"],
        run["chosen"],
        parameters=run.parameters,
        progress=run.progress,
    )


def _returns_choice(run: Run) -> dict[str, Any]:
    if run["returned_lines"].empty:
        return returns_stage.no_choice("the source marks no line of a customer as a return")
    if run.is_sampled:
        return returns_stage.no_choice("all but a sample of the customers stay on the cluster")
    policy = run.parameters.returns
    changed: dict[str, Any] = {"returns": "net" if policy == "exclude" else "exclude"}
    if run.parameters.n_clusters != "auto":
        changed["k_max"] = 2  # other numbers of clusters are not looked at
    other = run.with_parameters(**changed)
    try:
        found = {policy: result_of(run), other.parameters.returns: result_of(other)}
    except SegmentationError as error:
        return returns_stage.no_choice(str(error).rstrip("."))
    return returns_stage.returns_choice(found["exclude"], found["net"])


def result_of(run: Run) -> RunResult:
    """What a comparison needs of a run."""
    model = load_model(run.stage("segments") / "model")
    return RunResult(run["customers"], model, run["overview"]["amount_scale"])


def _explanation(run: Run) -> dict[str, Any]:
    return evidence_stages.explanation(
        prepared_groups(run),
        run["features"],
        run["segments"],
        run["projection"],
        random_state=run.parameters.random_state,
    )


def _cut(run: Run) -> dict[str, Any]:
    """The orders looked at from a day in the middle: known by then, and what followed."""
    impossible = {"cut_features": pd.DataFrame(), "followed": pd.DataFrame()}
    overview = run["overview"]
    if run.is_sampled:
        reason = "all but a sample of the customers stay on the cluster"
        return impossible | {"cut": {"reason": reason}}
    if overview["is_customer_table"]:
        reason = "the source is a customer table without dates"
        return impossible | {"cut": {"reason": reason}}
    first, last = (dt.date.fromisoformat(overview[n]) for n in ("first_order", "as_of"))
    asked = run.parameters.calibration_end
    cut = holdout_stage.middle_of(first, last) if asked == "auto" else asked
    if not first <= cut < last:
        if asked != "auto":
            raise ParameterError(
                f"calibration_end is {cut}, but orders run from {first} to {last}; give a day "
                f"from {first} on that lies before {last}, or auto."
            )
        return impossible | {"cut": {"reason": "all orders are of one day"}}
    with run.snapshot.opened() as engine:
        _ingested(run, engine)
        clean.clean(engine, **_rules(run.parameters), as_of=cut)
        known = features.customer_features(engine, as_of=cut)
        clean.clean(engine, **_rules(run.parameters), as_of=last)
        followed = features.followed_customers(engine, cut=cut)
    days = {"reason": "", "cut": cut.isoformat(), "last_day": last.isoformat()}
    return {"cut_features": known, "followed": followed, "cut": days}


def _holdout(run: Run) -> dict[str, Any]:
    window = run["cut"]
    if window["reason"]:
        return holdout_stage.no_holdout(window["reason"])
    return holdout_stage.hold_out(
        run["cut_features"],
        run["followed"],
        parameters=run.parameters,
        rules=run.rules["naming_rules"],
        cut=dt.date.fromisoformat(window["cut"]),
        last_day=dt.date.fromisoformat(window["last_day"]),
        progress=run.progress,
    )


def _ingested(run: Run, engine: Engine) -> ingest.Source:
    return ingest.ingest(engine, run.source, date_repair=run.parameters.date_repair)


def _rules(parameters: Parameters) -> dict[str, str]:
    """The parameters that choose cleaning rules."""
    return {
        "returns": parameters.returns,
        "zero_amount": parameters.zero_amount,
        "duplicates": parameters.duplicates,
        "non_product": parameters.non_product,
    }


def _recommendations(run: Run) -> dict[str, Any]:
    table = recommend.recommend(
        run["customers"],
        gross_margin=run.parameters.gross_margin,
        contact_cost=run.parameters.contact_cost,
        responses=run["holdout_responses"],
        random_state=run.parameters.random_state,
        plays=run.rules["plays"]["plays"],
        naming_rules=run.rules["naming_rules"],
    )
    sizes = campaign.sizes_by_segment(table)
    table = support.add_limits(table, sizes, run["stability"], no_holdout=run["holdout"]["reason"])
    arms = campaign_plan.arms_of_run(run["customers"], table, seed=run.parameters.random_state)
    return {
        "recommendations": table,
        "campaign_sizes": sizes,
        "campaign_arms": arms,
        "campaign_plan": campaign_plan.plan(arms, table),
    }


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "orders",
            "reads the source, cleans it, accounts for every line and computes features",
            (
                "engine",
                "fit_on",
                "as_of",
                "returns",
                "zero_amount",
                "duplicates",
                "non_product",
                "date_repair",
            ),
            (),
            (
                "customer_features",
                "ledger",
                "line_findings",
                "order_days",
                "registration_days",
                "returned_lines",
                "special_lines",
                "raw_columns",
                "lines",
                "monthly",
                "cohorts",
                "quarters",
                "categories",
                "sql",
                "overview",
            ),
            _orders,
        ),
        Stage(
            "findings",
            "says what is wrong with the data",
            ("date_repair",),
            ("orders",),
            ("findings", "swap", "days_found", "repair", "group_moves"),
            _findings,
        ),
        Stage(
            "cut",
            "reads what customers had done by a cut and what they did after it",
            ("calibration_end",),
            ("orders",),
            ("cut_features", "followed", "cut"),
            _cut,
        ),
        Stage(
            "prepared",
            "splits groups and puts features on one scale",
            (
                "features",
                "split_pre_register",
                "outliers",
                "winsor_quantile",
                "transform",
                "scaler",
            ),
            ("orders",),
            ("features", "groups"),
            _prepared,
        ),
        Stage(
            "tuning",
            "fits and scores every number of clusters",
            ("n_init", "random_state"),
            ("prepared",),
            ("tuning_k", "scan"),
            _tuning,
        ),
        Stage(
            "structure",
            "asks whether there are clusters at all, and how many",
            ("random_state",),
            ("tuning",),
            ("k_evidence", "k_rule"),
            _structure,
        ),
        Stage(
            "anomalies",
            "flags customers whom no dense neighbourhood reaches",
            ("dbscan_eps", "dbscan_min_samples"),
            ("prepared",),
            ("tuning_dbscan", "k_distance", "dbscan_choice"),
            _anomalies,
        ),
        Stage(
            "segments",
            "assigns and names segments and builds the model",
            (
                "n_clusters",
                "n_init",
                "random_state",
                "features",
                "naming_rules",
                "anomalies_in_fit",
            ),
            ("tuning", "anomalies"),
            (
                "segments",
                "customers",
                "profile",
                "facts",
                "silhouettes",
                "projection",
                "loadings",
                "explained",
                "chosen",
            ),
            _segments,
        ),
        Stage(
            "stability",
            "clusters resamples of the customers again",
            ("random_state", "anomalies_in_fit"),
            ("segments",),
            ("stability", "stability_whole", "margin_flips", "starts"),
            _stability,
        ),
        Stage(
            "anomaly_evidence",
            "tries the anomaly flags",
            ("n_clusters", "n_init", "random_state", "anomalies_in_fit"),
            ("segments",),
            ("dbscan_evidence", "planted", "anomaly_effect", "anomaly_agreement"),
            _anomaly_evidence,
        ),
        Stage(
            "sensitivity",
            "fits other reasonable settings",
            (
                "returns",
                "features",
                "split_pre_register",
                "outliers",
                "winsor_quantile",
                "transform",
                "scaler",
                "n_init",
                "random_state",
                "dbscan_eps",
                "dbscan_min_samples",
                "anomalies_in_fit",
            ),
            ("segments",),
            ("sensitivity",),
            _sensitivity,
        ),
        Stage(
            "returns_choice",
            "fits again under the other choice about returns",
            ("returns",),
            ("segments",),
            ("returns_choice", "returns_migration", "returns_movers"),
            _returns_choice,
        ),
        Stage(
            "explanation",
            "puts segments into rules",
            ("random_state",),
            ("segments",),
            ("rules", "separation", "fidelity", "map_agreement"),
            _explanation,
        ),
        Stage(
            "holdout",
            "follows customers after a cut",
            (
                "features",
                "split_pre_register",
                "outliers",
                "winsor_quantile",
                "transform",
                "scaler",
                "n_clusters",
                "n_init",
                "random_state",
                "naming_rules",
                "dbscan_eps",
                "dbscan_min_samples",
                "anomalies_in_fit",
            ),
            ("cut",),
            (
                "holdout_segments",
                "holdout_rankings",
                "holdout_curve",
                "holdout_responses",
                "holdout_aa",
                "holdout",
            ),
            _holdout,
        ),
        Stage(
            "recommendations",
            "says what to do about each segment, with its break-even",
            ("gross_margin", "contact_cost", "random_state", "naming_rules", "plays"),
            ("segments", "stability", "holdout"),
            ("recommendations", "campaign_sizes", "campaign_arms", "campaign_plan"),
            _recommendations,
        ),
    )
}
