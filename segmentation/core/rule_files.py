"""Names and plays as data: the shipped YAML files, or an analyst's own, checked.

A mistake in an own file is one sentence that says where in the file it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from segmentation.core.columns import FEATURES, RESPONSE_DAYS, SHIPPED_FEATURES
from segmentation.core.errors import ParameterError, first_three
from segmentation.core.parameter_fields import SHIPPED
from segmentation.core.parameters import resolve_path
from segmentation.core.yaml_text import read_yaml, read_yaml_file

_PACKAGE = Path(__file__).parents[1]
SHIPPED_FILES = {
    "naming_rules": _PACKAGE / "segments" / "naming_rules.yaml",
    "plays": _PACKAGE / "actions" / "plays.yaml",
}
MAX_FILE_BYTES = 1_000_000
LEAST_CONTRAST = 3.0
"""Of marks on white: WCAG 2.2, 1.4.11."""
_NAME = re.compile(r"[^\W_][\w ,.'&/()+%-]{0,59}")


def is_name(value: str) -> str:
    """A name of a segment or play; a ValueError says what one is."""
    if not _NAME.fullmatch(value) or value != value.strip():
        raise ValueError(
            "a name has at most 60 letters, digits, spaces and , . ' & / ( ) + % -, and begins "
            "with a letter or digit"
        )
    return value


def _is_feature(value: str) -> str:
    if value not in FEATURES:
        raise ValueError(f"{value!r} is no feature; there are {', '.join(FEATURES)}")
    return value


def _is_colour(value: str) -> str:
    if not re.fullmatch("#[0-9A-Fa-f]{6}", value):
        raise ValueError("a colour is written as in '#12436D', in quotation marks")
    from segmentation.core.palette import contrast_ratio

    if (contrast := contrast_ratio(value)) < LEAST_CONTRAST:
        raise ValueError(
            f"{value} has a contrast of {contrast:.1f} on white; marks need {LEAST_CONTRAST:.0f}"
        )
    return value


Name = Annotated[str, AfterValidator(is_name)]
Colour = Annotated[str, AfterValidator(_is_colour)]
Feature = Annotated[str, AfterValidator(_is_feature)]
Ratio = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Words = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Condition(_Part):
    """One comparison of a cluster's mean with the mean of its group."""

    feature: Feature
    at_least: Ratio | None = None
    at_most: Ratio | None = None
    at_least_ratio_of: Feature | None = None
    times: Ratio | None = None

    @model_validator(mode="after")
    def _one_comparison(self) -> Condition:
        given = [
            n for n in ("at_least", "at_most", "at_least_ratio_of") if getattr(self, n) is not None
        ]
        if len(given) != 1 or (self.times is not None) != (given == ["at_least_ratio_of"]):
            raise ValueError(
                "give one of at_least, at_most, or at_least_ratio_of together with times"
            )
        return self


class OfName(_Part):
    """What comes with a name: how a segment is drawn, and what is done about it first."""

    colour: Colour | None = None
    plays: Annotated[list[Name], Field(min_length=1)] | None = None


class NamingRule(OfName):
    """One name and what earns it."""

    name: Name
    family: Literal["lifecycle", "rfm"]
    words: Words
    when: Annotated[list[Condition], Field(min_length=1)]
    decides: Feature
    smallest: bool = False


class ValueTiers(_Part):
    """Ladders of names for the RFM family, by number of clusters."""

    words: Words | None = None
    names: dict[Annotated[int, Field(ge=2, le=50)], list[Name]]
    of_name: dict[Name, OfName] = {}
    min_step: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    top_at_least: Ratio
    bottom_at_most: Ratio

    @model_validator(mode="after")
    def _one_name_each(self) -> ValueTiers:
        for k, ladder in self.names.items():
            if len(ladder) != k or len(set(ladder)) != k:
                raise ValueError(f"the ladder of {k} clusters needs {k} different names")
        given = {name for ladder in self.names.values() for name in ladder}
        if unknown := [name for name in self.of_name if name not in given]:
            raise ValueError(f"of_name has {first_three(unknown)}, which no ladder gives")
        return self


class NamingRules(_Part):
    """A whole file of naming rules."""

    rules: list[NamingRule]
    value_tiers: ValueTiers
    apart: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    words: dict[Feature, Annotated[list[Name], Field(min_length=2, max_length=2)]]
    words_below_zero: dict[Feature, Annotated[list[Name], Field(min_length=2, max_length=2)]] = {}
    no_word: Name

    @model_validator(mode="after")
    def _all_different(self) -> NamingRules:
        names = [rule.name for rule in self.rules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two rules give the name {first_three(twice)}")
        if missing := [name for name in SHIPPED_FEATURES if name not in self.words]:
            raise ValueError(f"words lacks {first_three(missing)}")
        return self


class When(_Part):
    """What a segment's own figures must be for a play; all of it holds together."""

    customers_below: Annotated[int, Field(ge=1)] | None = None
    ratio_at_least: dict[Literal["total_spent", "total_unit"], Ratio] | None = None
    units_outgrow_spend: Ratio | None = None
    recency_over_group: Ratio | None = None
    gap: Literal["frequency", "breadth", "price"] | None = None
    median_recency_at_least: Ratio | None = None
    one_time_share_at_least: Annotated[float, Field(ge=0, le=1)] | None = None


class Play(_Part):
    """One thing to do, and for whom."""

    play: Name
    when: When
    why: Words
    do: Words
    measure: Words
    outcome_days: int
    is_campaign: bool = True

    @model_validator(mode="after")
    def _observed_period(self) -> Play:
        if self.outcome_days not in RESPONSE_DAYS:
            days = ", ".join(map(str, RESPONSE_DAYS))
            raise ValueError(f"outcome_days is {self.outcome_days}; there are {days}")
        return self


class Plays(_Part):
    """A whole file of plays."""

    plays: Annotated[list[Play], Field(min_length=1)]

    @model_validator(mode="after")
    def _reaches_everybody(self) -> Plays:
        if self.plays[-1].when.model_dump(exclude_none=True):
            raise ValueError("the last play must have `when: {}`, so that each segment has one")
        return self


_KINDS: dict[str, type[_Part]] = {"naming_rules": NamingRules, "plays": Plays}


def load_rules(parameter: str, choice: str = SHIPPED) -> dict[str, Any]:
    """Naming rules or plays as plain values, checked.

    Parameters
    ----------
    parameter : str
        ``naming_rules`` or ``plays``.
    choice : str
        ``shipped`` or the path of a YAML file. What an own file leaves out (at the first
        level) is that of the shipped one.

    Raises
    ------
    ParameterError
        In one sentence: the file, the place in it, and what is accepted.

    Examples
    --------
    >>> [rule["name"] for rule in load_rules("naming_rules")["rules"]][-1]
    'Normal Low Engagement Customers'
    """
    shipped = read_yaml(SHIPPED_FILES[parameter].read_text(encoding="utf-8"))
    if choice == SHIPPED:
        return shipped
    own = _read(parameter, choice)
    if not isinstance(own, dict):
        raise ParameterError(
            f"{parameter} {choice}: holds no `name: value` lines; begin with a copy of "
            f"segmentation/{parameter}.yaml."
        )
    values = shipped | own
    try:
        _KINDS[parameter].model_validate(values)
    except ValidationError as error:
        raise ParameterError(f"{parameter} {choice}: {_mistake(error)}.") from None
    return values


def load_all(choices: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Naming rules and plays of a run, each checked and the two against each other.

    Parameters
    ----------
    choices : dict
        ``naming_rules`` and ``plays``, each ``shipped`` or a path.

    Raises
    ------
    ParameterError
        Also where own naming rules recommend a play that there is not. Shipped naming
        rules pass over plays that an analyst's own file has not.
    """
    rules = {parameter: load_rules(parameter, choice) for parameter, choice in choices.items()}
    if (choice := choices["naming_rules"]) != SHIPPED:
        there_are = [play["play"] for play in rules["plays"]["plays"]]
        for name, given in with_names(rules["naming_rules"]).items():
            if unknown := [play for play in given.get("plays") or [] if play not in there_are]:
                raise ParameterError(
                    f"naming_rules {choice}: {name} recommends {first_three(unknown)}, which the "
                    f"plays in use have not; there are {', '.join(there_are)}."
                )
    return rules


def with_names(naming_rules: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the rules give along with each name: ``words``, ``colour`` and ``plays``, where they do.

    Examples
    --------
    >>> given = with_names(load_rules("naming_rules"))
    >>> given["Extreme High Volume Buyers"]["plays"], given["Low value"]["colour"]
    (['Look after bulk buyers'], '#8E6CC4')
    """
    tiers = naming_rules["value_tiers"]
    names = {name for ladder in tiers["names"].values() for name in ladder}
    of_name = tiers.get("of_name") or {}
    given = {name: {"words": tiers.get("words")} | of_name.get(name, {}) for name in names}
    given |= {rule["name"]: rule for rule in naming_rules["rules"]}
    return {
        name: {k: rule[k] for k in ("words", "colour", "plays") if rule.get(k) is not None}
        for name, rule in given.items()
    }


def fingerprint(rules: dict[str, Any]) -> str:
    """Hash of what rules say; two files that say the same have the same.

    Examples
    --------
    >>> fingerprint(load_rules("plays")) == fingerprint(load_rules("plays"))
    True
    """
    return hashlib.sha256(repr(rules).encode("utf-8", "surrogatepass")).hexdigest()


def _read(parameter: str, choice: str) -> Any:
    path, called = resolve_path(choice), f"{parameter} {choice}"
    with contextlib.suppress(OSError):
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ParameterError(f"{called}: is larger than a file of rules can be.")
    return read_yaml_file(path, called=called, missing="no such file", remedy="correct it")


def _mistake(error: ValidationError) -> str:
    """The first mistake: where it is, counted from 1, and what is wrong."""
    first = error.errors()[0]
    steps = [
        f"number {step + 1}" if isinstance(step, int) and not isinstance(step, bool) else str(step)
        for step in first["loc"]
    ]
    where = ", ".join(step for step in steps if step != "[key]")
    said = first["msg"].removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    if first["type"] == "extra_forbidden":
        said = "is not known here"
    if first["type"] == "missing":
        said = "is missing"
    more = len(error.errors()) - 1
    others = f" (and {more} more)" if more else ""
    return f"{where}: {said}{others}" if where else f"{said}{others}"
