"""Which contacts of a list may be written to, each row once: in the file, or out for one reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from segmentation.actions.campaign import CONTROL
from segmentation.deliver.addresses import email_of, phone_of

CHANNELS = {"email": "e-mail address", "phone": "phone number"}
ROW = ("customer_id", "email", "phone", "segment", "arm")
OTHER_ARM = "address is also that of a customer in the other arm"
MORE = "further contact of a customer who is in the file"


@dataclass(frozen=True)
class Audience:
    """Who is on a list, in its order; the arm of everybody who has one, the segment of all."""

    name: str
    listed: Sequence[str]
    arm_of: Mapping[str, str]
    segments: Mapping[str, str]
    spent: Mapping[str, float]
    guests: Collection[str] = ()


@dataclass(frozen=True)
class Joined:
    """What became of contacts: rows of `ROW` for those in the file, the others counted."""

    rows: list[tuple[str, ...]]
    left_out: Counter[str]
    notes: Counter[str]


def join(
    audience: Audience, contacts: pd.DataFrame, form: Mapping[str, Any], *, country: Any = None
) -> Joined:
    """Take each row of contacts into the audience, or count why not.

    A refusal in any row of a customer, or of an address, holds for all of them. An address is
    taken once, by the customer who comes first on the list, and not at all where a customer of
    the other arm has it too: contacting one would be contacting both.
    """
    found = {
        "email": [
            email_of(text, plain_local_part=form.get("plain_local_part", False))
            for text in contacts["email"]
        ],
        "phone": [phone_of(text, country) for text in contacts["phone"]],
    }
    ids = contacts["customer_id"].tolist()
    given = {channel: contacts[channel].tolist() for channel in CHANNELS}
    consent = {channel: contacts[f"{channel}_consent"].tolist() for channel in CHANNELS}
    refused: set[tuple[str, str]] = set()
    arms_at: dict[tuple[str, str], set[str]] = {}
    for channel in CHANNELS:
        for one, address, said in zip(ids, found[channel], consent[channel], strict=True):
            if said == "no":
                refused |= {(channel, f"id {one}"), (channel, address or "")}
            if address and one in audience.arm_of:
                arms_at.setdefault((channel, address), set()).add(audience.arm_of[one])
    place = {one: number for number, one in enumerate(audience.listed)}
    out = Joined([], Counter(), Counter())
    taken: set[tuple[str, str]] = set()
    done: set[str] = set()
    for row in sorted(range(len(ids)), key=lambda row: place.get(ids[row], len(place))):
        one = ids[row]
        if one not in place or one in done:
            out.left_out[MORE if one in done else _not_listed(one, audience)] += 1
            continue
        arm = audience.arm_of.get(one, "")
        usable, why = {}, {}
        for channel in CHANNELS:
            address = found[channel][row]
            key = (channel, address or "")
            why[channel] = _unusable(channel, given[channel][row], address, consent[channel][row])
            if why[channel]:
                continue
            if refused & {(channel, f"id {one}"), key}:
                why[channel] = "consent refused in another row of the customer or address"
            elif CONTROL in (both := {arm, *arms_at.get(key, ())}) and len(both) > 1:
                why[channel] = OTHER_ARM
            elif key in taken:
                why[channel] = f"{CHANNELS[channel]} is in the file for another customer"
            else:
                usable[channel] = str(address)
        reason = _left_out(usable, why, form)
        if not reason and (most := form.get("text_bytes")):
            texts = (one, audience.segments[one])
            if max(len(text.encode()) for text in texts) > most:
                reason = f"id or segment longer than {most} bytes"
        if reason:
            out.left_out[reason] += 1
            continue
        out.notes.update(why[c] for c in CHANNELS if why[c] and given[c][row].strip())
        taken |= set(usable.items())
        done.add(one)
        addresses = [usable.get(channel, "") for channel in CHANNELS]
        out.rows.append((one, *addresses, audience.segments[one], arm))
    return out


def _left_out(usable: Mapping[str, str], why: Mapping[str, str], form: Mapping[str, Any]) -> str:
    """Why a row of somebody on the list is not in the file; "" where it is."""
    if OTHER_ARM in why.values():
        return OTHER_ARM
    needed = [form["needs"]] if form["needs"] in CHANNELS else list(CHANNELS)
    if usable.keys() & set(needed):
        return ""
    said = [why[channel] for channel in needed if not why[channel].startswith("no ")]
    return said[0] if said else f"no {' or '.join(CHANNELS[channel] for channel in needed)}"


def _not_listed(one: str, audience: Audience) -> str:
    if one in audience.guests:
        return "id that may stand for many people"
    known = "not on this list" if one in audience.segments else "customer unknown to the run"
    return known if one else "no customer id"


def _unusable(channel: str, text: str, address: str | None, consent: str) -> str:
    """Why an address of a row cannot be used; "" where it can."""
    if not text.strip():
        return f"no {CHANNELS[channel]}"
    if consent != "yes":
        return {"no": "consent refused", "": "consent left blank"}.get(
            consent, "consent neither yes nor no"
        )
    return "" if address else f"what is no {CHANNELS[channel]} that can be used"
