"""The method's steps as functions on tables: what a notebook or an analyst calls one by one.

Each takes tables and settings and returns tables, whatever made them; a `run.Run` does the
same steps with everything around them (account, evidence, files). Settings have the names
and defaults of `Parameters`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.cluster import KMeans

from segmentation.core.columns import FEATURES
from segmentation.core.errors import ParameterError, SourceError, first_three
from segmentation.core.parameters import Parameters
from segmentation.customers import features as customers_table
from segmentation.customers.prepare import canonical_order, prepare_group
from segmentation.customers.read_orders import reading_of
from segmentation.evidence import by_group, k_scores
from segmentation.evidence.choose_k import Choice
from segmentation.evidence.choose_k import choose_k as rule_for_k
from segmentation.evidence.stability import resample_stability
from segmentation.orders import clean as cleaning
from segmentation.orders import transactions
from segmentation.run.run import Run
from segmentation.segments import names as naming
from segmentation.segments.dbscan import AnomalyFit, fit_dbscan
from segmentation.segments.distances import centre_distances, margins
from segmentation.segments.kmeans import fit_kmeans, fit_range
from segmentation.sources.engine import DuckDbEngine

_DEFAULTS = Parameters()


class Cleaned(NamedTuple):
    """Order lines with the rule that each met, and the account of what every rule took."""

    lines: pd.DataFrame
    ledger: pd.DataFrame


def read_orders(source: str | Path, location: str | Path = "", **settings: Any) -> pd.DataFrame:
    """Order lines as a source's SELECT gives them, checked and typed.

    Parameters
    ----------
    source : str or Path
        A shipped source (``"cdnow"``) or the file of a SELECT.
    location : str or Path
        Where its tables are: a folder, a file, a database. Empty = where shipped data are.
    settings
        ``engine``, ``time_zone``, ``date_repair`` as in `Parameters`.

    Returns
    -------
    DataFrame, one row per order line
        ``customer_id, order_id, order_date, quantity, amount`` (exact decimals, account
        currency), ``is_valid, is_return, is_non_product`` and what else the SELECT gives.

    Raises
    ------
    SourceError, ParameterError
        In one sentence, as for a run.

    Examples
    --------
    >>> lines = read_orders("cdnow")
    >>> len(lines), lines["customer_id"].nunique(), lines["amount"].sum()
    (69659, 23570, Decimal('2500315.63'))
    """
    asked: dict[str, Any] = {"source": str(source)} | (
        {"location": str(location)} if str(location) else {}
    )
    with tempfile.TemporaryDirectory() as nowhere:
        run = Run(Parameters(**asked, **settings), Path(nowhere))
        with run.snapshot.opened() as engine:
            found = transactions.ingest(engine, run.snapshot.source, **reading_of(run.parameters))
            if found.is_customer_table:
                raise ParameterError(
                    f"source {source}: is a table of customers, not of order lines; read it "
                    "with pandas and go on with scale."
                )
            return engine.query("SELECT * FROM transactions ORDER BY ALL")


def clean(
    lines: pd.DataFrame,
    *,
    returns: str = _DEFAULTS.returns,
    zero_amount: str = _DEFAULTS.zero_amount,
    duplicates: str = _DEFAULTS.duplicates,
    non_product: str = _DEFAULTS.non_product,
    as_of: dt.date | None = None,
) -> Cleaned:
    """Give every order line the cleaning rule that it meets, and account for all of them.

    Parameters
    ----------
    lines : DataFrame
        As `read_orders` gives it; it may be filtered or made by hand.
    returns, zero_amount, duplicates, non_product, as_of
        As in `Parameters`; `as_of` sets later lines aside.

    Returns
    -------
    Cleaned
        ``lines`` with the column ``rule`` (``kept``, or why a line is set aside) and
        ``ledger``: rows, orders, customers and money per rule, to the cent.

    Examples
    --------
    >>> cleaned = clean(read_orders("cdnow"))
    >>> cleaned.ledger[["rule", "rows", "amount"]].iloc[[0, -1]].values.tolist()
    [['raw', 69659, Decimal('2500315.63')], ['kept', 69659, Decimal('2500315.63')]]
    """
    _needs(lines, ("customer_id", "order_id", "order_date", "quantity", "amount"), "clean")
    with _table("transactions", lines) as engine:
        cleaning.clean(
            engine,
            returns=returns,
            zero_amount=zero_amount,
            duplicates=duplicates,
            non_product=non_product,
            as_of=as_of,
        )
        return Cleaned(
            engine.query("SELECT * FROM classified ORDER BY ALL"), cleaning.ledger(engine)
        )


def customer_features(lines: pd.DataFrame, *, as_of: dt.date | None = None) -> pd.DataFrame:
    """One row per customer with every feature, by the shipped ``features.sql``.

    Parameters
    ----------
    lines : DataFrame
        ``Cleaned.lines``, all of them or some.
    as_of : date, optional
        Day on which recency and tenure are counted; the last valid order unless given.

    Examples
    --------
    >>> found = customer_features(clean(read_orders("cdnow")).lines)
    >>> found[["frequency", "recency"]].agg(["size", "max"]).values.tolist()
    [[23570, 23570], [171, 545]]
    """
    _needs(lines, ("customer_id", "order_date", "amount", "rule"), "customer_features")
    with _table("classified", lines) as engine:
        day = as_of or customers_table.last_valid_order(engine)
        return customers_table.customer_features(engine, as_of=day)


def scale(
    customers: pd.DataFrame,
    features: Sequence[str] = _DEFAULTS.features,
    *,
    transform: str = _DEFAULTS.transform,
    scaler: str = _DEFAULTS.scaler,
    outliers: str = _DEFAULTS.outliers,
    winsor_quantile: float = _DEFAULTS.winsor_quantile,
    for_flags: bool = False,
) -> pd.DataFrame:
    """Features in the space in which customers are compared, rows as they came.

    Parameters
    ----------
    customers : DataFrame, one row per customer
    features : sequence of str
        Numeric columns without gaps; one that is the same for everybody is left out.
    transform, scaler, outliers, winsor_quantile
        As in `Parameters`.
    for_flags : bool
        The space in which `dbscan` looks for unusual customers: dates stay in days.

    Examples
    --------
    >>> spent = pd.DataFrame({"total_spent": [1.0, 10.0, 100.0], "frequency": [1, 1, 1]})
    >>> scale(spent, ["total_spent", "frequency"], transform="none").round(2)["total_spent"].tolist()
    [-0.81, -0.6, 1.41]
    """
    _needs(customers, features, "scale")
    for name in features:
        if name not in FEATURES:
            raise ParameterError(
                f"scale: {name} is no feature; accepted are {', '.join(FEATURES)}."
            )
        if customers[name].isna().any():
            raise SourceError(
                f"scale: {name} is empty for {int(customers[name].isna().sum()):,} customer(s)."
            )
    group = prepare_group(
        customers.assign(segment_type="normal"),
        "normal",
        names=tuple(features),
        outliers=outliers,
        winsor_quantile=winsor_quantile,
        transform=transform,
        scaler=scaler,
    )
    values = np.empty_like(group.values)
    values[group.rows] = group.flag_values if for_flags else group.values
    return pd.DataFrame(values, index=customers.index, columns=list(group.preparation.features))


def score_k(
    scaled: pd.DataFrame,
    k_values: Iterable[int] = range(2, _DEFAULTS.k_max + 1),
    *,
    n_init: int = _DEFAULTS.n_init,
    random_state: int = _DEFAULTS.random_state,
) -> pd.DataFrame:
    """Every score of every number of clusters, one cluster included, a row each.

    Returns
    -------
    DataFrame
        ``k, inertia, silhouette`` with its interval, ``gap``, ``agreement`` of halves and
        more: what `choose_k` decides by.

    Examples
    --------
    >>> clouds = np.random.default_rng(0).normal(size=(150, 2)) + np.repeat([0, 9, 18], 50)[:, None]
    >>> scores = score_k(pd.DataFrame(clouds), range(2, 6))
    >>> int(scores.loc[scores["silhouette"].idxmax(), "k"])
    3
    """
    values = _in_order(scaled)[0]
    fits = fit_range(
        values, values[:, 0], k_values=k_values, n_init=n_init, random_state=random_state
    )
    scored = k_scores.score_fits(values, fits, random_state=random_state)
    return by_group.k_scores_of(
        values, scored.scores, scored.silhouettes, random_state=random_state, progress=""
    )


def choose_k(scores: pd.DataFrame) -> Choice:
    """The rule's answer: how many clusters the scores of `score_k` speak for, and why."""
    _needs(scores, ("k", "silhouette", "gap"), "choose_k")
    return rule_for_k(scores)


def kmeans(
    scaled: pd.DataFrame,
    n_clusters: int = 3,
    *,
    numbered_by: pd.Series | None = None,
    n_init: int = _DEFAULTS.n_init,
    random_state: int = _DEFAULTS.random_state,
) -> KMeans:
    """K-Means whose clusters depend on neither ids nor the order of rows.

    Parameters
    ----------
    scaled : DataFrame
        As `scale` gives it.
    numbered_by : Series, optional
        Clusters are numbered by its mean, smallest first (total spent, say); by the first
        column of `scaled` unless given.

    Returns
    -------
    sklearn.cluster.KMeans
        Fitted: ``labels_`` in the order of the rows, ``predict``, ``transform`` and the rest.

    Examples
    --------
    >>> spent = pd.DataFrame({"total_spent": [95.0, 1.0, 90.0, 2.0]})
    >>> model = kmeans(spent, 2)
    >>> model.labels_.tolist(), model.predict(pd.DataFrame({"total_spent": [80.0]})).tolist()
    ([1, 0, 1, 0], [1])
    """
    values, order = _in_order(scaled)
    by = values[:, 0] if numbered_by is None else numbered_by.to_numpy(dtype=float)[order]
    fit = fit_kmeans(values, by, n_clusters=n_clusters, n_init=n_init, random_state=random_state)
    if fit.note:
        raise SourceError(f"kmeans: {fit.note}.")
    # begins at the fitted centres and stays there: an estimator in every respect
    model = KMeans(len(fit.centers), init=fit.centers, n_init=1, random_state=random_state)
    model.fit(scaled.iloc[order])
    model.labels_ = model.predict(scaled)
    return model


def dbscan(
    scaled: pd.DataFrame, *, eps: float | str = "auto", min_samples: int | str = "auto"
) -> AnomalyFit:
    """Who is unusual: customers whom no dense neighbourhood reaches.

    ``scaled`` is what `scale` gives with ``for_flags=True``.

    Returns
    -------
    AnomalyFit
        ``is_noise`` in the order of the rows, ``eps``, ``min_samples`` and their ``reason``.

    Examples
    --------
    >>> dbscan(pd.DataFrame({"x": [0.0, 0.1, 0.2, 0.3, 9.0]}), eps=0.2, min_samples=2).is_noise
    array([False, False, False, False,  True])
    """
    return fit_dbscan(_numbers(scaled), eps=eps, min_samples=min_samples)


def name_segments(
    customers: pd.DataFrame,
    labels: Sequence[int],
    scaled: pd.DataFrame,
    *,
    rules: dict[str, Any] | None = None,
) -> pd.Series:
    """A name for every customer's cluster, whoever made the clusters.

    Parameters
    ----------
    customers : DataFrame, one row per customer
        Features in their own units.
    labels : sequence of int
        Cluster of each customer: of `kmeans`, of any other clusterer, or your own.
    scaled : DataFrame
        As `scale` gave it, same rows.
    rules : dict, optional
        As ``naming_rules.yaml``; the shipped ones unless given.
    """
    cluster = pd.Series(np.asarray(labels), index=customers.index)
    centers = scaled.set_axis(customers.index, axis=0).groupby(cluster).mean()
    known = tuple(name for name in FEATURES if name in customers)
    profiles = naming.cluster_profiles(customers.assign(cluster=cluster), known, centers)
    found, _ = naming.name_clusters(profiles, tuple(scaled.columns), rules=rules)
    return cluster.map(found).rename("segment")


def stability(
    scaled: pd.DataFrame,
    labels: Sequence[int],
    *,
    random_state: int = _DEFAULTS.random_state,
) -> pd.DataFrame:
    """How alike each cluster comes back when other customers had been drawn.

    Returns
    -------
    DataFrame, one row per cluster and way of drawing
        Mean Jaccard similarity with its interval (Hennig 2007) and the ``verdict`` on it.
    """
    values, order = _in_order(scaled)
    cluster = np.unique(np.asarray(labels), return_inverse=True)[1][order]
    centers = pd.DataFrame(values).groupby(cluster).mean().to_numpy()
    margin = margins(centre_distances(values, centers))
    return resample_stability(values, cluster, margin, random_state=random_state).clusters


def hold_out(lines: pd.DataFrame, cut: dt.date, **rules: Any) -> pd.DataFrame:
    """What was known of each customer on a day, beside what the customer did after it.

    Parameters
    ----------
    lines : DataFrame
        As `read_orders` gives it.
    cut : date
        The last day that is known.
    rules
        As for `clean`.

    Returns
    -------
    DataFrame, one row per customer known by then
        The features of that day; ``orders_after`` and ``revenue_after`` (exact decimal).

    Examples
    --------
    >>> known = hold_out(read_orders("cdnow"), dt.date(1997, 9, 30))
    >>> len(known), int((known["orders_after"] > 0).sum())
    (23570, 7058)
    """
    known = customer_features(clean(lines, **{**rules, "as_of": cut}).lines, as_of=cut)
    with _table("classified", clean(lines, **rules).lines) as engine:
        after = customers_table.followed_customers(
            engine,
            cut=cut,
            last=rules.get("as_of") or customers_table.last_valid_order(engine),
            returns=rules.get("returns", _DEFAULTS.returns),
        )
    return known.merge(after, on="customer_id", how="left", validate="one_to_one")


@contextlib.contextmanager
def _table(name: str, rows: pd.DataFrame) -> Iterator[DuckDbEngine]:
    """An engine that has one table."""
    engine = DuckDbEngine()
    try:
        money = rows.select_dtypes("float").columns.intersection(["amount", "quantity"])
        # a float is the decimal that it is written as
        exact = rows.assign(**{each: rows[each].map(repr).map(Decimal) for each in money})
        engine.connection.register("given", pa.Table.from_pandas(exact, preserve_index=False))
        engine.create(name, "SELECT * FROM given")
        yield engine
    finally:
        engine.close()


def _needs(table: Any, columns: Sequence[str], step: str) -> None:
    if not isinstance(table, pd.DataFrame):
        raise ParameterError(f"{step}: is given a {type(table).__name__}; a DataFrame is accepted.")
    missing = [name for name in columns if name not in table]
    if missing:
        raise SourceError(f"{step}: the table lacks {first_three(missing)}.")
    if not len(table):
        raise SourceError(f"{step}: the table has no rows.")


def _numbers(scaled: pd.DataFrame) -> np.ndarray:
    _needs(scaled, (), "scaled")
    values = scaled.to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise SourceError("scaled: holds values that are no finite numbers.")
    return values


def _in_order(scaled: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    values = _numbers(scaled)
    order = canonical_order(values)
    return values[order], order
