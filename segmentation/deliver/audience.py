"""From a run's list and the shop's own contacts to the import file of a platform.

Contacts are read from the shop's file and written to the audience, nowhere else. Each row of
them is in the file or counted under one reason.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from segmentation.actions.campaign import CONTROL, TREATMENT
from segmentation.core.atomic import atomic_path, refuse_existing
from segmentation.core.errors import OutputError, ParameterError, SourceError, first_three
from segmentation.core.guarded_csv import guarded, write_plain_csv
from segmentation.core.own_folders import AUDIENCE, refuse_foreign
from segmentation.core.placing import new_folder
from segmentation.core.yaml_text import read_yaml
from segmentation.deliver.addresses import hashed
from segmentation.deliver.audience_rows import CHANNELS, ROW, Audience, Joined, join
from segmentation.deliver.campaign_lists import members_of, read_list, refuse_other_spelling
from segmentation.deliver.run_places import manifest_in
from segmentation.orders.customer_ids import perhaps_guests
from segmentation.run.compare_runs import read_run

LISTS = {"call-first": "call_first.csv", "slipping": "slipping.csv"}
ARMS_FILE = "arms.csv"
OTHER_OUTPUT = "give --output a new folder"
IN_CONTROL = "in the control arm, left alone"


@cache
def formats() -> dict[str, Any]:
    """Formats of platforms, names of columns of contacts and countries, as the file has them."""
    text = Path(__file__).with_name("audience_formats.yaml").read_text(encoding="utf-8")
    return dict(read_yaml(text))


def write_audience(
    run: Path,
    *,
    contacts: Path,
    platform: str,
    segment: str | None = None,
    segment_type: str | None = None,
    listed: str | None = None,
    arms: Path | None = None,
    campaign_id: str | None = None,
    country: str | None = None,
    minimum: int = 1,
    carry_control: bool = False,
    output: Path | None = None,
    raw_values: bool = False,
    replace: bool = False,
) -> tuple[str, list[Path]]:
    """Write the import file of a platform, and say what became of each row of contacts.

    Parameters
    ----------
    arms : Path
        A list that ``campaign split`` wrote; default: the run's own ``campaign_arms.csv``.
    carry_control : bool
        Write the control arm too, with its arm as attribute. Never for platforms that show
        ads to whoever is uploaded.
    output : Path
        A ``.csv`` file, or a folder, which gets `ARMS_FILE` too: the list that
        ``campaign readout`` takes, of both arms as far as they can be reached.

    Returns
    -------
    str and list of Path
        What to tell, and the files written.

    Raises
    ------
    ParameterError, SourceError, OutputError
        In one sentence; nothing is written then.
    """
    if (segment is None) == (listed is None):
        raise ParameterError("audience: give either --segment or --list.")
    form = formats()["platforms"][platform]
    if carry_control and form["ads"]:
        raise ParameterError(
            f"--carry-control --for {platform}: whoever is uploaded there is shown ads, the "
            f"control arm too; leave it out ({ARMS_FILE} in the --output folder has both arms)."
        )
    if country is not None and country.upper() not in formats()["countries"]:
        raise ParameterError(
            f"--country {country}: known are {', '.join(formats()['countries'])}; write numbers of "
            "other countries with + and their code."
        )
    chosen = "-".join(part for part in (segment_type, segment, listed) if part)
    campaign_id = campaign_id or _plain(f"{run.resolve().name}-{chosen}")
    output = output or Path("audiences", _plain(f"{campaign_id}-{platform}"))
    _refuse_output(output, replace=replace)
    audience = _listed(run, segment, segment_type, listed, arms)
    table = _contacts(contacts)
    _refuse_unknown_ids(table, audience, contacts)
    joined = join(
        audience,
        table,
        form,
        country=formats()["countries"][country.upper()] if country else None,
    )
    rows = pd.DataFrame(joined.rows, columns=list(ROW)).assign(campaign_id=campaign_id)
    rows["total_spent"] = rows["customer_id"].map(audience.spent)
    sent = rows if carry_control else rows[rows["arm"] != CONTROL]
    if not carry_control and len(rows) > len(sent):
        joined.left_out[IN_CONTROL] += len(rows) - len(sent)
    told = _told(joined, audience, contacts, table, len(sent))
    least = max(minimum, form["minimum"])
    if len(sent) < least:
        raise ParameterError(
            f"--for {platform}: {len(sent):,} of {len(table):,} contacts would be in the file, and "
            f"{'it needs' if minimum < least else '--minimum is'} {least:,} or more "
            f"({'; '.join(told[1:][:4])})."
        )
    parts = _parts(_as_imported(sent, form, raw_values=raw_values), form)
    both = _both_arms(rows)
    paths = _write(parts, both, output, raw_values=raw_values, replace=replace)
    told += [form["say"]] if "say" in form else []
    if both is not None and output.suffix != ".csv":
        told.append(f"for campaign readout: {ARMS_FILE} has both arms and the campaign's id")
    elif both is not None and not carry_control:
        told.append(f"for campaign readout, which needs {ARMS_FILE} of both arms, {OTHER_OUTPUT}")
    return "\n".join(told), paths


def _listed(
    run: Path, segment: str | None, segment_type: str | None, listed: str | None, arms: Path | None
) -> Audience:
    """Customers of a segment or a list with their arms, in the order of the list."""
    customers = read_run(run).customers
    findings = run / "findings.csv"
    guests = perhaps_guests(pd.read_csv(findings, dtype=str)) if findings.is_file() else set()
    if listed is not None:
        ids = read_list(run / LISTS[listed], ("customer_id",))["customer_id"]
        name = f"the list {listed}"
    else:
        members = members_of(customers, str(segment), segment_type)
        ids = members["customer_id"].sort_values()
        name = f"the segment {segment}"
    path = arms or run / "campaign_arms.csv"
    table = read_list(path, ("customer_id", "arm")) if path.is_file() or arms else None
    arm_of = {} if table is None else dict(zip(table["customer_id"], table["arm"], strict=True))
    if wrong := set(arm_of.values()) - {TREATMENT, CONTROL}:
        raise SourceError(
            f"{path.name}: arm is {first_three(map(repr, wrong))}; it is no such list."
        )
    ids = ids[~ids.isin(guests)]
    if arms is not None and not ids.isin(arm_of).any():
        raise SourceError(f"{path.name}: nobody of {name} is in it; give the list of this segment.")
    segments = dict(zip(customers["customer_id"], customers["segment"], strict=True))
    spent = dict(zip(customers["customer_id"], customers["total_spent"], strict=True))
    return Audience(name, list(dict.fromkeys(ids)), arm_of, segments, spent, guests)


def _contacts(path: Path) -> pd.DataFrame:
    """The shop's contacts: id, both addresses as given, and consent of each: yes, no, "" or else."""
    table = read_list(path, ("customer_id",))
    named = pd.DataFrame({"customer_id": table["customer_id"].str.strip()})
    for name, words in formats()["contacts"].items():
        own = [word for word in words if word in table.columns]
        if len(own) > 1 or (own and isinstance(table[own[0]], pd.DataFrame)):
            raise SourceError(
                f"{path.name}: {first_three(own)} are columns of one meaning; keep one."
            )
        if own:
            named[name] = table[own[0]]
    if not {"email", "phone"} & set(named):
        raise SourceError(f"{path.name}: lacks a column email or phone.")
    if not {"consent", "email_consent", "phone_consent"} & set(named):
        raise SourceError(
            f"{path.name}: lacks the column consent (or email_consent, phone_consent), yes or no; "
            "nobody is contacted without."
        )
    known = dict.fromkeys(formats()["consent_yes"], "yes")
    known |= dict.fromkeys(formats()["consent_no"], "no")
    for channel in CHANNELS:
        said = named.get(f"{channel}_consent", named.get("consent", pd.Series("", named.index)))
        said = said.str.strip().str.lower()
        named[f"{channel}_consent"] = said.map(known).fillna(said)
        named[channel] = named.get(channel, pd.Series("", named.index))
    return named


def _refuse_unknown_ids(table: pd.DataFrame, audience: Audience, path: Path) -> None:
    """Refuse contacts whose ids are not the run's, or are written otherwise."""
    ids = table["customer_id"].drop_duplicates()
    known = pd.Series(sorted(audience.segments))
    unknown = ids[~ids.isin(set(known)) & (ids != "")]
    refuse_other_spelling(ids[ids != ""], known, path, "the run", "unknown customers")
    if len(unknown) == len(ids) and len(ids):
        raise SourceError(
            f"{path.name}: none of its {len(ids):,} customer ids is in the run (as "
            f"{known.iloc[0]!r}); give the ids that the orders have."
        )


def _refuse_output(output: Path, *, replace: bool) -> None:
    if any(manifest_in(folder) for folder in output.resolve().parents) or manifest_in(output):
        raise OutputError(f"--output {output}: is in a run's folder, where no contact belongs.")
    if output.suffix != ".csv":
        refuse_foreign(output, AUDIENCE, OTHER_OUTPUT)
    elif not replace:
        refuse_existing(output)


def _told(
    joined: Joined, audience: Audience, path: Path, contacts: pd.DataFrame, sent: int
) -> list[str]:
    """What became of each row; the numbers below the first line add up to it."""
    arms = Counter(audience.arm_of.get(one, "") for one in audience.listed)
    held = f"{arms[TREATMENT]:,} to contact, {arms[CONTROL]:,} in the control arm"
    free = f"{arms['']:,} in no campaign, where nobody is held back"
    parts = [held] * bool(arms[TREATMENT] + arms[CONTROL]) + [free] * bool(arms[""])
    without = len(set(audience.listed) - set(contacts["customer_id"]))
    lines = [
        f"{len(audience.listed):,} customers of {audience.name}: {', '.join(parts) or 'nobody'}; "
        f"{without:,} are not in {path.name}",
        f"{len(contacts):,} rows of {path.name} = {sent:,} in the file + "
        f"{sum(joined.left_out.values()):,} left out",
    ]
    lines += [f"  {rows:,} {reason}" for reason, rows in joined.left_out.most_common()]
    lines += [f"  of those in the file, {n:,}: {why}" for why, n in joined.notes.most_common()]
    return lines


def _as_imported(rows: pd.DataFrame, form: Mapping[str, Any], *, raw_values: bool) -> pd.DataFrame:
    """Columns as the platform names them; addresses never guarded, all other texts are."""
    phones = rows["phone"].map(
        lambda digits: f"+{digits}" if digits and form["phone"] == "e164" else digits
    )
    rows = rows.assign(phone=phones)
    for channel in CHANNELS if form["hashed"] else ():
        rows[channel] = rows[channel].map(lambda text: hashed(text) if text else "")
    texts = [name for name in form["columns"].values() if name not in CHANNELS]
    if not raw_values:
        rows[texts] = rows[texts].map(guarded)
    return pd.DataFrame({name: rows[own] for name, own in form["columns"].items()})


def _parts(table: pd.DataFrame, form: Mapping[str, Any]) -> list[pd.DataFrame]:
    """Parts of a table that keep to the platform's limits of bytes and rows."""
    cells = table.map(lambda text: len(text.encode()) + text.count('"') + 3)  # quotes, comma
    size = cells.sum(axis=1).to_numpy()
    number = np.arange(len(table)) // form.get("rows", len(table))
    if "bytes" in form:
        room = form["bytes"] - size.max() - sum(len(name.encode()) + 3 for name in table)
        number = number + (np.cumsum(size) - size) // room
    starts = [0, *np.flatnonzero(np.diff(number)) + 1, len(table)]
    return [table.iloc[a:b] for a, b in pairwise(starts)]


def _both_arms(rows: pd.DataFrame) -> pd.DataFrame | None:
    """The list for the read-out: who can be reached, of both arms; None without a control arm."""
    divided = rows[rows["arm"] != ""]
    if divided["arm"].nunique() < 2:
        return None
    return divided[["customer_id", "segment", "arm", "total_spent", "campaign_id"]]


def _write(
    parts: list[pd.DataFrame],
    arms: pd.DataFrame | None,
    output: Path,
    *,
    raw_values: bool,
    replace: bool,
) -> list[Path]:
    if output.suffix == ".csv":
        if len(parts) > 1:
            raise OutputError(
                f"--output {output}: the platform's limit needs {len(parts)} files; {OTHER_OUTPUT}."
            )
        with atomic_path(output, replace=replace) as temporary:
            write_plain_csv(parts[0], temporary, raw_values=True)
        return [output]
    if len(output.parts) == 2 and output.parts[0] == "audiences":
        with contextlib.suppress(OSError):
            output.parent.mkdir(exist_ok=True)
    names = [f"audience-{number}.csv" for number in range(1, len(parts) + 1)]
    with new_folder(output, AUDIENCE, OTHER_OUTPUT) as working:
        for name, part in zip(names, parts, strict=True):
            write_plain_csv(part, working / name, raw_values=True)
        if arms is not None:
            write_plain_csv(arms, working / ARMS_FILE, raw_values=raw_values)
            names.append(ARMS_FILE)
    return [output / name for name in names]


def _plain(text: str) -> str:
    """A text as part of a file's name."""
    return re.sub(r"[^\w.]+", "-", text).strip("-.").lower()
