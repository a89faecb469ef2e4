"""Every parameter once: its type, range, unit, default and meaning.

Profiles (`notebooks/params/*.yaml`), papermill, the command line and the parameters
cell of every notebook all read this definition (by `core.parameters`).
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from segmentation.core.columns import SHIPPED_FEATURES
from segmentation.core.errors import first_three
from segmentation.core.limits import ASSUMED_MARGIN, CALL_TIMES
from segmentation.core.own_features import FeatureLabel, labels_from
from segmentation.core.readings import TableReading, readings_from

SHIPPED_SOURCES = ("cdnow", "marketplace", "online_retail", "customer_segmentation_data")

Auto = Literal["auto"]
SHIPPED = "shipped"
NONE = "none"
PATHS = ("source", "location", "own_features", "own_labels", "naming_rules", "plays")
"""Parameters that may hold a path; a page shows no more of one than `shown_path` does."""
MOST_CLUSTERS = 50
"""Clusters of a group, or different labels of the analyst's own: more are no segments."""
FILES = (".sql", ".yaml", ".yml", ".csv", ".parquet")
"""How a path among them ends, where it is not a location."""


def _unit(unit: str) -> dict[str, Any]:
    """What a value counts or names; not needed of a choice."""
    return {"unit": unit}


_PASSWORD = re.compile(r"://.*:.*@|[?&;](password|passwd|pwd|token)=", re.I | re.S)
"""Signs of a password in an address: user:password@host, or one (or a token) in the query."""


class Parameters(BaseModel):
    """One frozen set of parameters; a run is decided by it and by the data alone."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    source: str = Field(
        "cdnow",
        min_length=1,
        description="Where orders come from: a shipped source, or a path to a source SQL file.",
        json_schema_extra=_unit(
            "cdnow, marketplace, online_retail, customer_segmentation_data, or *.sql"
        ),
    )
    location: str = Field(
        "data/raw_data/cdnow",
        min_length=1,
        description="Folder, file or database (mysql://host:port/database) of the raw tables.",
        json_schema_extra=_unit("path"),
    )
    tables: Annotated[dict[str, TableReading], BeforeValidator(readings_from)] = Field(
        {},
        description="How files of a table are read, where that is not to be told from them.",
        json_schema_extra=_unit("table: {files, separator, decimal, encoding, sheet, header_row}"),
    )
    columns: dict[str, str] = Field(
        {},
        description="Columns that the raw tables call otherwise than the SELECT does.",
        json_schema_extra=_unit("name in the SELECT: name in the table"),
    )
    engine: Literal["duckdb", "mysql", "spark"] = Field(
        "duckdb",
        description="What runs the SQL: duckdb on files, mysql in the database at location, spark.",
        json_schema_extra=_unit("name"),
    )
    fit_on: Annotated[int, Field(ge=100, le=10_000_000)] | Literal["all"] = Field(
        "all",
        description="Customers to fit on; a number (engine spark): the others stay on the cluster.",
        json_schema_extra=_unit("customers"),
    )
    cluster_output: str = Field(
        "run",
        min_length=1,
        description="Where Spark writes customers who stay: run (the run's folder) or storage.",
        json_schema_extra=_unit("run, or a folder such as s3a://bucket/segments"),
    )
    time_zone: str = Field(
        "UTC",
        description="The shop's zone: a point in time with a zone counts to its day there.",
        json_schema_extra=_unit("an IANA name such as Europe/Berlin"),
    )
    as_of: dt.date | Auto = Field(
        "auto",
        description="Last day of observation; auto: date of the last valid order.",
        json_schema_extra=_unit("YYYY-MM-DD"),
    )
    returns: Literal["exclude", "net"] = Field(
        "exclude",
        description="exclude: sales only; net: returns reduce the customer's units and spend.",
    )
    zero_amount: Literal["keep", "exclude"] = Field(
        "keep", description="Lines with an amount of zero; reported either way."
    )
    duplicates: Literal["keep", "drop"] = Field(
        "keep", description="Exact copies of a line; reported either way."
    )
    non_product: Literal["keep", "exclude"] = Field(
        "keep",
        description="Lines that are not products (postage, fees), where the source marks them.",
    )
    date_repair: Literal["off", "swap_day_month"] = Field(
        "off",
        description="swap_day_month: exchange day and month of order dates whose day is at most 12.",
    )
    guest_ids: tuple[str, ...] | Auto = Field(
        "auto",
        description="Ids that stand for many people: their lines have no customer; auto: by name.",
        json_schema_extra=_unit("list of ids, [] for none"),
    )
    id_cleaning: Literal["auto", "off", "match"] = Field(
        "auto",
        description="auto: undo what programs add to ids; match: zeros, capitals, blanks too.",
    )
    own_features: str = Field(
        NONE,
        pattern=r"^(none|.*\.sql)$",
        description="A SELECT with features of your own: one row per customer, numeric columns.",
        json_schema_extra=_unit("none, or *.sql"),
    )
    feature_labels: Annotated[dict[str, FeatureLabel], BeforeValidator(labels_from)] = Field(
        {},
        description="Label, unit and format of each feature of your own.",
        json_schema_extra=_unit("feature: {label, unit, format, meaning}"),
    )
    features: tuple[str, ...] = Field(
        ("recency", "frequency", "total_spent"),
        min_length=1,
        description="Features that K-Means and DBSCAN see.",
        json_schema_extra=_unit("list of feature names"),
    )
    split_pre_register: bool = Field(
        True, description="Model customers whose first order precedes registration apart."
    )
    outliers: Literal["none", "winsor"] = Field(
        "none",
        description="winsor: pull values beyond the winsor quantiles in to them before scaling.",
    )
    winsor_quantile: float = Field(
        0.99,
        gt=0.5,
        lt=1,
        description="Upper quantile for winsorising; the lower one is 1 minus it.",
        json_schema_extra=_unit("share of customers"),
    )
    transform: Literal["none", "log", "yeo-johnson"] = Field(
        "log", description="Shape before scaling; log is sign(x) * ln(1 + |x|)."
    )
    scaler: Literal["standard", "robust"] = Field(
        "standard",
        description="standard: mean 0, deviation 1; robust: median 0, interquartile range 1.",
    )
    anomalies_in_fit: bool = Field(
        True,
        description="Anomalies take part in fitting the centres; all customers are assigned anyway.",
    )
    own_labels: str = Field(
        NONE,
        pattern=r"^(none|.*\.(csv|parquet))$",
        description="Segments of your own in the place of K-Means: a file of customer_id, label.",
        json_schema_extra=_unit("none, *.csv or *.parquet"),
    )
    n_clusters: Annotated[int, Field(ge=1, le=MOST_CLUSTERS)] | Auto = Field(
        3,
        description="Clusters per group; auto: by gap, separation and agreement, among 2 to 8 or none.",
        json_schema_extra=_unit("clusters"),
    )
    k_max: int = Field(
        10,
        ge=2,
        le=MOST_CLUSTERS,
        description="Largest number of clusters that the tuning chapter scans.",
        json_schema_extra=_unit("clusters"),
    )
    n_init: int = Field(
        10,
        ge=1,
        le=1000,
        description="Random starts per K-Means fit; the best is kept.",
        json_schema_extra=_unit("starts"),
    )
    random_state: int = Field(
        42,
        ge=0,
        le=2**32 - 1,
        description="Seed of every random choice.",
        json_schema_extra=_unit("seed"),
    )
    dbscan_eps: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Auto = Field(
        "auto",
        description="Neighbourhood radius; auto: knee of the k-distance curve.",
        json_schema_extra=_unit("prepared distance"),
    )
    dbscan_min_samples: Annotated[int, Field(ge=2, le=10_000)] | Auto = Field(
        "auto",
        description="Customers (self included) that make a neighbourhood dense; auto: 2 x features.",
        json_schema_extra=_unit("customers"),
    )
    calibration_end: dt.date | Auto = Field(
        "auto",
        description="Cut of the hold-out proof; auto: middle of the observation window.",
        json_schema_extra=_unit("YYYY-MM-DD"),
    )
    outcome_days: int = Field(
        90,
        ge=7,
        le=365,
        description="Days ahead that the forecast of each customer looks.",
        json_schema_extra=_unit("days"),
    )
    currency: str = Field(
        "USD",
        pattern=r"^[A-Z]{3}$",
        description="ISO 4217 code of the account currency; a label, nothing is converted.",
        json_schema_extra=_unit("code"),
    )
    gross_margin: Annotated[float, Field(gt=0, le=1)] | Auto = Field(
        "auto",
        description="Share of revenue left after the cost of goods; auto: by costs in the source, "
        f"else {ASSUMED_MARGIN}, an assumption to replace.",
        json_schema_extra=_unit("share of revenue"),
    )
    contact_cost: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="Cost of contacting one customer once; an assumption to replace.",
        json_schema_extra=_unit("currency per contact"),
    )
    call_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] | Auto = Field(
        "auto",
        description=f"Cost of calling one customer; auto: {CALL_TIMES} x contact_cost; an assumption to replace.",
        json_schema_extra=_unit("currency per call"),
    )
    naming_rules: str = Field(
        SHIPPED,
        pattern=r"^(shipped|.*\.ya?ml)$",
        description="Rules that name segments: the shipped ones, or a YAML file like them.",
        json_schema_extra=_unit("shipped, or *.yaml"),
    )
    plays: str = Field(
        SHIPPED,
        pattern=r"^(shipped|.*\.ya?ml)$",
        description="What to do about segments: the shipped plays, or a YAML file like them.",
        json_schema_extra=_unit("shipped, or *.yaml"),
    )

    @field_validator("as_of", "calibration_end", mode="before")
    @classmethod
    def _date_from_text(cls, value: Any) -> Any:
        if isinstance(value, dt.datetime):
            return value.date()
        if isinstance(value, str) and value != "auto":
            if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
                raise ValueError("a date is written YYYY-MM-DD, or auto")
            return dt.date.fromisoformat(value)
        return value

    @field_validator("time_zone")
    @classmethod
    def _zone_known(cls, value: str) -> str:
        known = {"UTC"} if value == "UTC" else available_timezones() - {"localtime", "Factory"}
        if value not in known:
            close = difflib.get_close_matches(value, known, n=1)
            raise ValueError(f"did you mean {close[0]}?" if close else "there is no such zone")
        return value

    @field_validator("guest_ids", mode="before")
    @classmethod
    def _ids_from_text(cls, value: Any) -> Any:
        if isinstance(value, str) and value != "auto":
            value = [text.strip() for text in value.split(",") if text.strip()]
        if isinstance(value, int) and not isinstance(value, bool):
            value = [value]
        if isinstance(value, list):
            value = tuple(str(one) if isinstance(one, int) else one for one in value)
        return value

    @field_validator("features", mode="before")
    @classmethod
    def _features_from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [name.strip() for name in value.split(",") if name.strip()]
        if isinstance(value, list):
            value = tuple(value)
        return value

    @field_validator("features")
    @classmethod
    def _features_known(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = (*SHIPPED_FEATURES, *info.data.get("feature_labels", ()))
        unknown = [name for name in value if name not in known]
        if unknown:
            raise ValueError(
                f"unknown feature {first_three(unknown)}; known are {', '.join(known)}, "
                "and those that feature_labels describes"
            )
        repeated = sorted({name for name in value if value.count(name) > 1})
        if repeated:
            raise ValueError(f"feature {first_three(repeated)} is named twice")
        return value

    @field_validator("location", "source", "cluster_output")
    @classmethod
    def _no_password(cls, value: str) -> str:
        if _PASSWORD.search(value):
            raise ValueError(
                "a password never is a parameter (it would be printed into the page); "
                "put it into an option file such as ~/.my.cnf"
            )
        return value

    @property
    def cost_of_a_call(self) -> float:
        """What calling one customer costs: as set, or a multiple of a written contact.

        Examples
        --------
        >>> Parameters(contact_cost=0.5).cost_of_a_call, Parameters(call_cost=8).cost_of_a_call
        (2.5, 8.0)
        """
        is_set = not isinstance(self.call_cost, str)
        return float(self.call_cost) if is_set else CALL_TIMES * self.contact_cost

    def as_plain(self) -> dict[str, Any]:
        """Parameters as plain YAML values, in the order of definition."""
        plain = self.model_dump(exclude_none=True)
        for name, value in plain.items():
            if isinstance(value, dt.date):
                plain[name] = value.isoformat()
            elif isinstance(value, tuple):
                plain[name] = list(value)
        return plain

    def only(self, names: Iterable[str]) -> Parameters:
        """These parameters and no other: reading one that is not named is an error."""
        part = self.model_copy()
        values = {name: part.__dict__[name] for name in names}
        part.__dict__.clear()
        part.__dict__.update(values)
        return part
