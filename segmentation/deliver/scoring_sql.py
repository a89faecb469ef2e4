"""A saved model -> one SELECT that prepares and assigns customers where the data live.

The statement is built as a tree by sqlglot and never pasted together, so that a segment
named ``O'Brien's \\ "best"`` is a value in every dialect. It does what
`segmentation.segments.model` does, in the same order and with the same constants; only the last
digit of a logarithm may differ between database engines.
"""

from __future__ import annotations

import math
from decimal import Decimal
from functools import reduce
from pathlib import Path

import numpy as np
from sqlglot import exp

from segmentation.core.errors import ParameterError
from segmentation.customers.preparation import Preparation
from segmentation.segments.model import GroupModel, SegmentModel, load_model

FEATURES_TABLE = "features"
DIALECTS = {
    "bigquery": "bigquery",
    "databricks": "databricks",
    "duckdb": "duckdb",
    "mariadb": "mysql",
    "mysql": "mysql",
    "postgres": "postgres",
    "redshift": "redshift",
    "snowflake": "snowflake",
    "spark": "spark",
    "sqlite": "sqlite",
    "trino": "trino",
}
"""Names accepted by ``--dialect`` and the dialect that each is written in."""

LARGEST_DOUBLE = float(np.finfo(np.float64).max)
SMALL_EXPONENT = 1e-5
"""Below it ``(exp(y) - 1) / exponent`` loses digits, and four terms of its series do not."""

STEP_WORDS = {
    "given": "values as doubles; what is no finite number becomes empty",
    "prepared": "limits, transform, centre and scale, as when the model was fitted",
    "distances": "squared distance to the centre of each cluster",
    "nearest": "the smallest of them",
}
ROW_COLUMNS = ("customer_id", "segment_type")


def scoring_sql(model_folder: Path, *, dialect: str) -> str:
    """One SELECT that assigns every row of the table ``features`` with a saved model.

    Parameters
    ----------
    model_folder : Path
        A run's ``model/`` folder.
    dialect : str
        One of `DIALECTS`.

    Returns
    -------
    str
        The statement, laid out over lines, ending in a line feed.

    Raises
    ------
    ParameterError
        If the dialect is not one of `DIALECTS`.
    ModelError
        If the folder holds no intact model.
    """
    if dialect not in DIALECTS:
        raise ParameterError(f"--dialect {dialect}: it is one of {', '.join(DIALECTS)}.")
    select = scoring_select(load_model(model_folder, to_export=True))
    return select.sql(dialect=DIALECTS[dialect], pretty=True) + "\n"


def scoring_select(model: SegmentModel) -> exp.Select:
    """The statement as a tree, one row per customer of ``features``.

    Returns
    -------
    sqlglot Select
        ``customer_id, segment_type, cluster, segment``. A customer whose group the model
        does not have, or of whom a value is missing or no finite number, comes out with
        an empty cluster and segment: nobody is dropped and nobody is guessed.

    Notes
    -----
    Per group, each step is a common table expression: ``*_given`` (values as doubles),
    ``*_prepared`` (winsor limits, transform, centre and scale), ``*_distances`` (squared
    distance to each centre) and ``*_nearest`` (the smallest). A tie goes to the lowest
    cluster, as in the model.
    """
    select = exp.select(*ROW_COLUMNS, "cluster", "segment").from_("assigned")
    parts = []
    for kind, group in model.groups.items():
        for name, step in _steps(kind, group):
            select = select.with_(name, as_=step)
        parts.append(_assigned(kind, group))
    parts.append(_not_assigned(tuple(model.groups)))
    select = select.with_("assigned", as_=exp.union(*parts, distinct=False))
    select.add_comments([_origin(model)])
    return select


def _origin(model: SegmentModel) -> str:
    return (
        f" Assigns customers to segments: groups {', '.join(model.groups)}; features "
        f"{', '.join(model.features)}; last day of observation {model.info.get('as_of')}. "
        "An empty segment: the group is not in the model, or a value is missing. "
    )


def number(value: float) -> exp.Expr:
    """A constant that every dialect reads back as exactly this double.

    Seventeen significant digits at most; the exponent makes it a DOUBLE where a plain
    ``0.1`` would be a DECIMAL (MySQL, Spark, DuckDB).

    Examples
    --------
    >>> number(366.35).sql(), number(-0.1).sql()
    ('3.6635E+2', '-1E-1')
    """
    literal = exp.Literal.number(f"{Decimal(repr(abs(float(value)))):E}")
    return exp.Neg(this=literal) if value < 0 else literal


def _steps(kind: str, group: GroupModel) -> list[tuple[str, exp.Select]]:
    preparation = group.preparation
    if not preparation.features:
        return []
    steps = {
        "given": _given(kind, preparation),
        "prepared": _prepared(kind, preparation),
        "distances": _distances(kind, group),
        "nearest": _nearest(kind, len(group.centers)),
    }
    for name, select in steps.items():
        select.add_comments([f" {kind}: {STEP_WORDS[name]} "])
    return [(f"{kind}_{name}", select) for name, select in steps.items()]


def _given(kind: str, preparation: Preparation) -> exp.Select:
    """Values as doubles; what is no finite number becomes empty, also where NaN exists."""
    values = []
    for name in preparation.features:
        double = exp.cast(exp.column(name), "double")
        finite = exp.LTE(this=exp.Abs(this=double.copy()), expression=number(LARGEST_DOUBLE))
        values.append(exp.alias_(exp.Case().when(finite, double), name))
    return (
        exp.select(*ROW_COLUMNS, *values)
        .from_(FEATURES_TABLE)
        .where(exp.column("segment_type").eq(exp.Literal.string(kind)))
    )


def _prepared(kind: str, preparation: Preparation) -> exp.Select:
    values = []
    for index, name in enumerate(preparation.features):
        value = _clipped(exp.column(name), preparation.low[index], preparation.high[index])
        if preparation.transform == "log":
            value = _times(exp.Sign(this=value), _log1p(value))
        elif preparation.transform == "yeo-johnson":
            value = _yeo_johnson(value, float(preparation.lambdas[index]))
        scaled = exp.Div(
            this=exp.Paren(this=_minus(value, preparation.center[index])),
            expression=number(preparation.scale[index]),
        )
        values.append(exp.alias_(scaled, f"{name}_scaled"))
    return exp.select(*ROW_COLUMNS, *values).from_(f"{kind}_given")


def _clipped(value: exp.Expr, low: float, high: float) -> exp.Expr:
    # not LEAST and GREATEST: in some databases they turn an empty value into the limit
    case = exp.Case()
    if math.isfinite(low):
        case = case.when(exp.LT(this=value.copy(), expression=number(low)), number(low))
    if math.isfinite(high):
        case = case.when(exp.GT(this=value.copy(), expression=number(high)), number(high))
    return case.else_(value) if case.args.get("ifs") else value


def _log1p(value: exp.Expr) -> exp.Expr:
    size = exp.Add(this=number(1.0), expression=exp.Abs(this=value.copy()))
    return exp.Ln(this=size)


def _yeo_johnson(value: exp.Expr, exponent: float) -> exp.Expr:
    """Yeo-Johnson (2000); both halves take the logarithm of ``1 + |x|``."""
    up = _power_step(value, exponent)
    down = exp.Neg(this=exp.Paren(this=_power_step(value, 2.0 - exponent)))
    is_up = exp.GTE(this=value.copy(), expression=number(0.0))
    is_down = exp.LT(this=value.copy(), expression=number(0.0))
    return exp.Case().when(is_up, up).when(is_down, down)


def _power_step(value: exp.Expr, exponent: float) -> exp.Expr:
    """``((1 + |x|) ** exponent - 1) / exponent``, its limit where the exponent is 0."""
    logarithm = _log1p(value)
    if abs(exponent) >= SMALL_EXPONENT:
        grown = exp.Exp(this=_times(number(exponent), logarithm))
        return exp.Div(this=exp.Paren(this=_minus(grown, 1.0)), expression=number(exponent))
    # ln * (1 + y/2 * (1 + y/3 * (1 + y/4))) with y = exponent * ln
    y = _times(number(exponent), logarithm)
    series: exp.Expr = number(1.0)
    for divisor in (4.0, 3.0, 2.0):
        term = exp.Div(this=_times(y.copy(), _bracket(series)), expression=number(divisor))
        series = exp.Add(this=number(1.0), expression=term)
    return _times(logarithm, _bracket(series))


def _bracket(value: exp.Expr) -> exp.Expr:
    return exp.Paren(this=value) if isinstance(value, exp.Binary) else value


def _times(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    return exp.Mul(this=left, expression=right)


def _minus(value: exp.Expr, constant: float) -> exp.Expr:
    if constant < 0:
        return exp.Add(this=value, expression=number(-constant))
    return exp.Sub(this=value, expression=number(constant))


def _distances(kind: str, group: GroupModel) -> exp.Select:
    values = []
    for cluster, center in enumerate(group.centers):
        squares: list[exp.Expr] = []
        for name, place in zip(group.preparation.features, center, strict=True):
            gap = _minus(exp.column(f"{name}_scaled"), place)
            squares.append(exp.Pow(this=gap, expression=exp.Literal.number(2)))
        total = reduce(lambda left, right: exp.Add(this=left, expression=right), squares)
        values.append(exp.alias_(total, f"distance_{cluster}"))
    return exp.select(*ROW_COLUMNS, *values).from_(f"{kind}_prepared")


def _nearest(kind: str, n_clusters: int) -> exp.Select:
    distances = [exp.column(f"distance_{cluster}") for cluster in range(n_clusters)]
    least: exp.Expr = distances[0].copy()
    if n_clusters > 1:
        least = exp.Least(this=distances[0].copy(), expressions=[d.copy() for d in distances[1:]])
    columns: list[str | exp.Expr] = [
        *ROW_COLUMNS,
        *distances,
        exp.alias_(least, "distance_nearest"),
    ]
    return exp.select(*columns).from_(f"{kind}_distances")


def _assigned(kind: str, group: GroupModel) -> exp.Select:
    if not group.preparation.features:
        is_group = exp.column("segment_type").eq(exp.Literal.string(kind))
        columns = _segment_columns(exp.Literal.number(0), exp.Literal.string(group.names[0]))
        return exp.select(*ROW_COLUMNS, *columns).from_(FEATURES_TABLE).where(is_group)
    cluster, segment = exp.Case(), exp.Case()
    for index, name in enumerate(group.names):
        is_nearest = exp.column(f"distance_{index}").eq(exp.column("distance_nearest"))
        cluster = cluster.when(is_nearest, exp.Literal.number(index))
        segment = segment.when(is_nearest.copy(), exp.Literal.string(name))
    columns = _segment_columns(cluster, segment)
    return exp.select(*ROW_COLUMNS, *columns).from_(f"{kind}_nearest")


def _not_assigned(kinds: tuple[str, ...]) -> exp.Select:
    """Customers of groups that the model was not fitted on, with no segment."""
    kind = exp.column("segment_type")
    known = kind.isin(*[exp.Literal.string(each) for each in kinds])
    unknown = exp.or_(kind.is_(exp.null()), exp.not_(known))
    columns = _segment_columns(exp.null(), exp.null())
    return exp.select(*ROW_COLUMNS, *columns).from_(FEATURES_TABLE).where(unknown)


def _segment_columns(cluster: exp.Expr, segment: exp.Expr) -> list[exp.Expr]:
    return [exp.alias_(cluster, "cluster"), exp.alias_(segment, "segment")]
