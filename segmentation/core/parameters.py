"""Every parameter once: its type, range, unit, default and meaning.

Profiles (`notebooks/params/*.yaml`), papermill, the command line and the parameters
cell of every notebook all read this definition. An unknown or out-of-range parameter
is an error, never a warning.
"""

from __future__ import annotations

import datetime as dt
import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin
from zoneinfo import available_timezones

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from segmentation.core.columns import SHIPPED_FEATURES
from segmentation.core.errors import ParameterError, first_three
from segmentation.core.own_features import FeatureLabel, labels_from
from segmentation.core.readings import TableReading, readings_from
from segmentation.core.yaml_text import RepeatedKeyError, read_yaml, said_of

if TYPE_CHECKING:  # `segmentation serve` reads parameters, but no table
    import pandas as pd

PROJECT_ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK_FOLDER = PROJECT_ROOT / "notebooks"
PROFILE_FOLDER = NOTEBOOK_FOLDER / "params"
SHIPPED_SOURCES = ("cdnow", "marketplace", "online_retail", "customer_segmentation_data")
SHIPPED_PROFILES = ("cdnow", "marketplace")

Auto = Literal["auto"]
SHIPPED = "shipped"
NONE = "none"
PATHS = ("source", "location", "own_features", "naming_rules", "plays")
"""Parameters that may hold a path; a page shows no more of one than `shown_path` does."""


def _unit(unit: str) -> dict[str, Any]:
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
    tables: dict[str, TableReading] = Field(
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
        json_schema_extra=_unit("choice"),
    )
    zero_amount: Literal["keep", "exclude"] = Field(
        "keep",
        description="Lines with an amount of zero; reported either way.",
        json_schema_extra=_unit("choice"),
    )
    duplicates: Literal["keep", "drop"] = Field(
        "keep",
        description="Exact copies of a line; reported either way.",
        json_schema_extra=_unit("choice"),
    )
    non_product: Literal["keep", "exclude"] = Field(
        "keep",
        description="Lines that are not products (postage, fees), where the source marks them.",
        json_schema_extra=_unit("choice"),
    )
    date_repair: Literal["off", "swap_day_month"] = Field(
        "off",
        description="swap_day_month: exchange day and month of order dates whose day is at most 12.",
        json_schema_extra=_unit("choice"),
    )
    guest_ids: tuple[str, ...] | Auto = Field(
        "auto",
        description="Ids that stand for many people: their lines have no customer; auto: by name.",
        json_schema_extra=_unit("list of ids, [] for none"),
    )
    id_cleaning: Literal["auto", "off", "match"] = Field(
        "auto",
        description="auto: undo what programs add to ids; match: zeros, capitals, blanks too.",
        json_schema_extra=_unit("choice"),
    )
    own_features: str = Field(
        NONE,
        pattern=r"^(none|.*\.sql)$",
        description="A SELECT with features of your own: one row per customer, numeric columns.",
        json_schema_extra=_unit("none, or *.sql"),
    )
    feature_labels: dict[str, FeatureLabel] = Field(
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
        True,
        description="Model customers whose first order precedes registration apart.",
        json_schema_extra=_unit("true, false"),
    )
    outliers: Literal["none", "winsor"] = Field(
        "none",
        description="winsor: pull values beyond the winsor quantiles in to them before scaling.",
        json_schema_extra=_unit("choice"),
    )
    winsor_quantile: float = Field(
        0.99,
        gt=0.5,
        lt=1,
        description="Upper quantile for winsorising; the lower one is 1 minus it.",
        json_schema_extra=_unit("share of customers"),
    )
    transform: Literal["none", "log", "yeo-johnson"] = Field(
        "log",
        description="Shape before scaling; log is sign(x) * ln(1 + |x|).",
        json_schema_extra=_unit("choice"),
    )
    scaler: Literal["standard", "robust"] = Field(
        "standard",
        description="standard: mean 0, deviation 1; robust: median 0, interquartile range 1.",
        json_schema_extra=_unit("choice"),
    )
    anomalies_in_fit: bool = Field(
        True,
        description="Anomalies take part in fitting the centres; all customers are assigned anyway.",
        json_schema_extra=_unit("true, false"),
    )
    n_clusters: Annotated[int, Field(ge=1, le=50)] | Auto = Field(
        3,
        description="Clusters per group; auto: by gap, separation and agreement, among 2 to 8 or none.",
        json_schema_extra=_unit("clusters"),
    )
    k_max: int = Field(
        10,
        ge=2,
        le=50,
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
    gross_margin: float = Field(
        0.3,
        gt=0,
        le=1,
        description="Share of revenue left after the cost of goods; an assumption to replace.",
        json_schema_extra=_unit("share of revenue"),
    )
    contact_cost: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="Cost of contacting one customer once; an assumption to replace.",
        json_schema_extra=_unit("currency per contact"),
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

    @field_validator("tables", mode="before")
    @classmethod
    def _tables_from_plain(cls, value: Any) -> Any:
        return readings_from(value)

    @field_validator("feature_labels", mode="before")
    @classmethod
    def _labels_from_plain(cls, value: Any) -> Any:
        return labels_from(value)

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

    @field_validator("dbscan_eps", "winsor_quantile", "gross_margin", "contact_cost", mode="before")
    @classmethod
    def _number_not_flag(cls, value: Any) -> Any:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("location", "source", "cluster_output")
    @classmethod
    def _no_password(cls, value: str) -> str:
        if _PASSWORD.search(value):
            raise ValueError(
                "a password never is a parameter (it would be printed into the page); "
                "put it into an option file such as ~/.my.cnf"
            )
        return value

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


def parameters_from(values: dict[str, Any], *, origin: str = "parameters") -> Parameters:
    """Check a set of values and complete it with defaults.

    Parameters
    ----------
    values : dict
        Parameter name to value, as YAML gives them.
    origin : str
        Where the values came from, for the error sentence.

    Raises
    ------
    ParameterError
        Names each wrong parameter and what would be accepted.

    Examples
    --------
    >>> parameters_from({"n_clusters": 4}).n_clusters
    4
    >>> parameters_from({"n_cluster": 4})
    Traceback (most recent call last):
    segmentation.core.errors.ParameterError: parameters: unknown parameter n_cluster (did you mean n_clusters?); `segmentation params` lists all.
    """
    unknown = [name for name in values if name not in Parameters.model_fields]
    if unknown:
        hints = [_with_suggestion(str(name)) for name in unknown]
        raise ParameterError(
            f"{origin}: unknown parameter {first_three(hints)}; `segmentation params` lists all."
        )
    try:
        return Parameters(**values)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        reasons = [item["msg"] for item in error.errors() if item["loc"][0] == name]
        custom = [r.removeprefix("Value error, ") for r in reasons if r.startswith("Value error")]
        said = f" ({custom[0]})" if custom else ""
        raise ParameterError(
            f"{origin}: {name} is {_shown(values[name])}, "
            f"accepted is {accepted_values(name)}{said}."
        ) from None


def _shown(value: Any) -> str:
    text = repr(value)
    if "://" in text:  # a URL may carry a password: never repeat it
        text = re.sub(r"://.*(?=['\"])", "://…", text, flags=re.S)
    return text if len(text) <= 60 else text[:57] + "…"


def _with_suggestion(name: str) -> str:
    close = difflib.get_close_matches(name, Parameters.model_fields, n=1)
    return f"{name} (did you mean {close[0]}?)" if close else name


def accepted_values(name: str) -> str:
    """What a parameter accepts, in words.

    Examples
    --------
    >>> accepted_values("k_max"), accepted_values("returns")
    ('a whole number from 2 to 50', 'exclude or net')
    >>> accepted_values("dbscan_eps"), accepted_values("gross_margin")
    ('a number above 0, or auto', 'a number above 0 and up to 1')
    """
    field = Parameters.model_fields[name]
    choices = _literals(field.annotation)
    kinds = _kinds(field.annotation)
    bounds = _bounds([*field.metadata, *_nested_metadata(field.annotation)])
    words = []
    if bool in kinds:
        words.append("true or false")
    elif int in kinds:
        words.append(f"a whole number from {bounds['ge']} to {bounds['le']}")
    elif float in kinds:
        low = f"above {bounds['gt']}" if "gt" in bounds else f"from {bounds['ge']}"
        high = f" and below {bounds['lt']}" if "lt" in bounds else ""
        high = f" and up to {bounds['le']}" if "le" in bounds else high
        words.append(f"a number {low}{high}")
    elif dt.date in kinds:
        words.append("a date YYYY-MM-DD")
    elif name == "features":
        words.append(f"a list of {', '.join(SHIPPED_FEATURES)}, or of your own")
    elif name == "currency":
        words.append("a code of three capital letters")
    elif not choices:
        words.append(str(_extra(name)["unit"]))
    if choices:
        words.append(" or ".join(choices))
    return ", or ".join(words)


def choices_of(name: str) -> list[str]:
    """Words that a parameter accepts.

    Examples
    --------
    >>> choices_of("returns"), choices_of("n_clusters"), choices_of("anomalies_in_fit")
    (['exclude', 'net'], ['auto'], ['true', 'false'])
    """
    annotation = Parameters.model_fields[name].annotation
    return ["true", "false"] if annotation is bool else _literals(annotation)


def _bounds(metadata: list[Any]) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    for item in metadata:
        bounds |= {b: getattr(item, b) for b in ("ge", "gt", "le", "lt") if hasattr(item, b)}
    return bounds


def _nested_metadata(annotation: Any) -> list[Any]:
    """Constraints inside a union, such as those of the number in ``number or auto``."""
    found: list[Any] = []
    for argument in get_args(annotation):
        for item in getattr(argument, "__metadata__", ()):
            found += getattr(item, "metadata", [item])
    return found


def _kinds(annotation: Any) -> set[Any]:
    if get_origin(annotation) is Annotated:
        return {get_args(annotation)[0]}
    arguments = get_args(annotation)
    if not arguments or get_origin(annotation) is Literal:
        return {annotation}
    return set().union(*(_kinds(argument) for argument in arguments))


def _literals(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    if get_origin(annotation) is Annotated:
        return []
    return [choice for argument in get_args(annotation) for choice in _literals(argument)]


def _extra(name: str) -> dict[str, Any]:
    extra = Parameters.model_fields[name].json_schema_extra
    return extra if isinstance(extra, dict) else {}


def value_from_text(text: str) -> Any:
    """A parameter's value as YAML would read it; text that is no YAML stays text.

    Examples
    --------
    >>> value_from_text("4"), value_from_text("auto"), value_from_text("2023-02-30")
    (4, 'auto', '2023-02-30')
    """
    try:
        return read_yaml(text)
    except yaml.YAMLError:
        return text


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of parameters.

    Raises
    ------
    ParameterError
        If the file is missing, is not YAML or is not a list of ``name: value``.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = read_yaml(text)
    except RepeatedKeyError as error:
        raise ParameterError(f"{path}: {error}; give it once.") from None
    except FileNotFoundError:
        raise ParameterError(f"{path}: no such parameter file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path}: cannot be read ({type(error).__name__}).") from None
    except yaml.YAMLError as error:
        raise ParameterError(f"{path}: {said_of(error)}; write one `name: value` a line.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ParameterError(f"{path}: holds no `name: value` lines; write one parameter a line.")
    return values


def profile_values(profile: str) -> tuple[str, dict[str, Any]]:
    """Name and values of a profile, given by its name or by the path of a YAML file.

    Raises
    ------
    ParameterError
        If there is no such profile; the message lists those there are.
    """
    if profile.endswith((".yaml", ".yml")):
        path = Path(profile)
        return path.stem, _beside(path, _without_title(load_yaml(path), profile))
    path = PROFILE_FOLDER / f"{profile}.yaml"
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", profile) or not path.exists():
        known = sorted(found.stem for found in PROFILE_FOLDER.glob("*.yaml"))
        raise ParameterError(
            f"unknown profile {profile!r}; there are {', '.join(known)}, "
            "or give the path of a .yaml file."
        )
    return profile, _without_title(load_yaml(path), profile)


TITLE = "title"
"""Key of a profile that is no parameter: what its part of the book is called."""


def _without_title(values: dict[str, Any], profile: str) -> dict[str, Any]:
    title = values.pop(TITLE, "")
    if not isinstance(title, str) or len(title) > 80:
        raise ParameterError(f"profile {profile}: title is a text of at most 80 characters.")
    return values


def profile_title(profile: str) -> str:
    """What a profile calls its part of the book; empty where it says nothing."""
    path = (
        Path(profile) if profile.endswith((".yaml", ".yml")) else PROFILE_FOLDER / f"{profile}.yaml"
    )
    return str(load_yaml(path).get(TITLE, ""))


def resolve(
    profile: str,
    *,
    file: Path | None = None,
    overrides: dict[str, Any] | None = None,
) -> tuple[str, Parameters]:
    """Profile, then file, then single overrides: the later wins.

    Returns
    -------
    (str, Parameters)
        Name of the profile and the complete, checked parameters.
    """
    name, values = profile_values(profile)
    parameters_from(values, origin=f"profile {profile}")
    if file is not None:
        extra = _beside(file, load_yaml(file))
        parameters_from(values | extra, origin=str(file))
        values = values | extra
    values = values | (overrides or {})
    if missing := [name for name in ("source", "location") if name not in values]:
        raise ParameterError(
            f"profile {profile}: names no {' and no '.join(missing)}; a profile says whose orders "
            "it is for by `source: myshop.sql` and `location: data`."
        )
    return name, parameters_from(values, origin="parameters")


def _beside(file: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Values of a YAML file whose paths are relative to the file; else to the project.

    Where a command is typed never decides whose data it reads. The shipped profiles keep
    the paths of the project: papermill hands them on without saying where they stood.
    """
    if file.resolve().parent == PROFILE_FOLDER:
        return values
    found = dict(values)
    for name in PATHS:
        text = str(values.get(name, ""))
        is_file = name == "location" or text.endswith((".sql", ".yaml", ".yml"))
        if not text or not is_file or "://" in text or Path(text).expanduser().is_absolute():
            continue
        beside, old = (
            os.path.normpath(folder.absolute() / text) for folder in (file.parent, PROJECT_ROOT)
        )
        there = os.path.exists  # false, too, for what can be no path at all
        is_of_project = len(Path(text).parts) > 1 and there(old) and not there(beside)
        found[name] = old if is_of_project else beside
    return found


def describe(parameters: Parameters | None = None) -> pd.DataFrame:
    """Table of all parameters: name, value, unit, accepted, meaning; one row each."""
    values = (parameters or Parameters()).as_plain()
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "name": name,
                "value": ", ".join(map(str, value)) if isinstance(value, list) else str(value),
                "unit": _extra(name)["unit"],
                "accepted": accepted_values(name),
                "meaning": Parameters.model_fields[name].description,
            }
            for name, value in values.items()
        ]
    )


def resolve_path(text: str | os.PathLike[str]) -> Path:
    """Path as given if absolute or found from here, else relative to the project."""
    path = Path(text).expanduser()
    try:
        is_here = path.is_absolute() or path.exists()
    except OSError:  # longer than any path of this system
        is_here = False
    return path.absolute() if is_here else PROJECT_ROOT / path
