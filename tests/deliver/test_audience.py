"""`segmentation audience`: from a list to a platform's import file, no contact lost or leaked."""

from __future__ import annotations

import csv
import hashlib
import random
import re
import shlex
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from conftest import TinyShop, assert_refused, call_cli, contents_of, ordinary_orders

from segmentation.book import words
from segmentation.deliver.addresses import email_of, hashed, phone_of
from segmentation.deliver.audience import formats
from segmentation.deliver.audience_rows import Audience, join

E164 = r"\+[1-9]\d{6,14}"
SHA256 = r"[0-9a-f]{64}"
EMAIL = r"[^\s@\"';,|=+-][^\s@\"';,|]*@[^\s@]+\.[^\s@]+"
OUR_OWN = ["customer_id", "segment", "arm", "campaign_id"]
DOCUMENTED = {
    # help.klaviyo.com 115005078967: first column Email or Phone Number, others are properties
    "klaviyo": (["Email", "Phone Number", *OUR_OWN], EMAIL, E164),
    # knowledge.hubspot.com set-up-your-import-file: a header row of properties
    "hubspot": (["Email", "Phone Number", *OUR_OWN], EMAIL, E164),
    # mailchimp.com format-guidelines-for-your-import-file: one address a contact
    "mailchimp": (["Email Address", "SMS Phone Number", *OUR_OWN], EMAIL, E164),
    # facebook.com/business/help 2082575038703844: email, phone; others are not uploaded
    "meta": (["email", "phone", "arm", "campaign_id"], SHA256, SHA256),
    # support.google.com 14605515: any headers, matched in Data manager; 7476159: SHA-256
    "google": (["Email", "Phone", "arm", "campaign_id"], SHA256, SHA256),
    # support.google.com 7476159: English headers of a given list, SHA-256
    "google-upload": (["Email", "Phone"], SHA256, SHA256),
    "csv": (["customer_id", "email", "phone", "segment", "arm", "campaign_id"], EMAIL, E164),
}
"""Headers and values as the platforms' pages have them, typed from those and not from our file."""
META_EXAMPLES = {
    "John_Smith@gmail.com": "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
    "+1 (650)555-1212": "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
}
"""From Meta's page Customer information parameters."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = TinyShop(tmp_path_factory.mktemp("shop"))
    shop.lines(ordinary_orders(360))
    assert shop.run(n_clusters=2).code == 0
    return shop.result


def contacts_of(run: Path) -> list[dict[str, str]]:
    ids = pd.read_parquet(run / "segments.parquet")["customer_id"]
    return [
        {"customer_id": one, "email": f" U{one}@Example.COM", "phone": f"+49 (0)170 10{one}",
         "consent": "Yes"}
        for one in ids
    ]  # fmt: skip


def written(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


@pytest.mark.parametrize("platform", DOCUMENTED)
def test_each_format_is_what_the_platform_documents(run, tmp_path, platform):
    contacts = written(tmp_path / "contacts.csv", contacts_of(run))
    done = call_cli("audience", run, "--segment", "Low value", "--contacts", contacts,
                    "--for", platform, "--output", tmp_path / "out")  # fmt: skip
    assert done.code == 0, done.err
    raw = (tmp_path / "out" / "audience-1.csv").read_bytes()
    assert not raw.startswith(b"\xef\xbb\xbf")  # it would be a part of the first header
    rows = read(tmp_path / "out" / "audience-1.csv")
    headers, email, phone = DOCUMENTED[platform]
    assert list(rows[0]) == headers
    by_kind = {header.lower().split()[0]: header for header in headers}
    phone_at = next(header for header in headers if "phone" in header.lower())
    arms = {row["customer_id"]: row for row in read(run / "campaign_arms.csv")}
    treated = [
        one for one, row in arms.items()
        if row["arm"] == "treatment" and row["segment"] == "Low value"
    ]  # fmt: skip
    assert len(rows) == len(treated) > 100
    for row, one in zip(rows, sorted(treated), strict=True):
        assert re.fullmatch(email, row[by_kind["email"]])
        assert re.fullmatch(phone, row[phone_at])
        plain, digits = f"u{one}@example.com", f"4917010{one}"
        if platform == "meta":
            assert row[by_kind["email"]] == hashlib.sha256(plain.encode()).hexdigest()
            assert row[phone_at] == hashlib.sha256(digits.encode()).hexdigest()
        elif platform.startswith("google"):
            assert row[by_kind["email"]] == hashlib.sha256(plain.encode()).hexdigest()
            assert row["Phone"] == hashlib.sha256(f"+{digits}".encode()).hexdigest()
        else:
            assert (row[by_kind["email"]], row[phone_at]) == (plain, f"+{digits}")
            assert row["customer_id"] == one
        if platform != "google-upload":  # whose list of headers is closed
            assert row["arm"] == "treatment"
            assert row["campaign_id"] == f"{run.resolve().name}-low-value"
    # the one list for the read-out has both arms, whatever the platform takes
    listed = read(tmp_path / "out" / "arms.csv")
    both = Counter(row["arm"] for row in listed)
    assert both == Counter(r["arm"] for r in arms.values() if r["segment"] == "Low value")
    assert {row["campaign_id"] for row in listed} == {f"{run.resolve().name}-low-value"}
    assert "arms.csv has both arms and the campaign's id" in done.out
    orders = [{"customer_id": row["customer_id"]} for row in listed if row["arm"] == "treatment"]
    written(tmp_path / "orders.csv", orders)
    said = call_cli("campaign", "readout", tmp_path / "out" / "arms.csv", tmp_path / "orders.csv")
    assert said.code == 0, said.err
    assert "a change is shown" in said.out


def test_hashes_are_those_that_meta_publishes():
    email, phone = META_EXAMPLES
    assert hashed(str(email_of(email))) == META_EXAMPLES[email]
    assert hashed(str(phone_of(phone))) == META_EXAMPLES[phone]


@pytest.mark.parametrize(
    ("text", "country", "digits"),
    [
        ("+12345678900", None, "12345678900"),  # Klaviyo's examples
        ("tel: +12345678900", None, "12345678900"),
        ("'+1 234 567 8900", None, "12345678900"),
        ("1-234-567-8910", "US", "12345678910"),  # Meta's examples
        ("+44 844 412 4653", None, "448444124653"),
        ("0844 412 4653", "GB", "448444124653"),
        ("0044 844 412 4653", None, "448444124653"),
        ("844 412 4653", "GB", None),  # a spreadsheet took its zero: or is it another number?
        ("(650) 555-1212", None, None),
        ("34612345678", "ES", None),
        ("4.91712E+11", "DE", None),
        ("+49 30 1234 ext 5", None, None),
        ("+4930\n=cmd()", None, None),
        ("+0123456789", None, None),
        ("9" * 10_000, "US", None),
    ],
)
def test_phones_are_told_with_certainty_or_not_at_all(text, country, digits):
    assert phone_of(text, formats()["countries"][country] if country else None) == digits


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "a@b", "a b@c.de", "a@c..de", ".a@c.de", "a..b@c.de", "a@-c.de", "<a@c.de>"),
        *("=HYPERLINK(1)@c.de", "=1+1@c.de", "+cmd@c.de", "-x@c.de", "a@c.de;=1+1", "a,b@c.de"),
        *("a@c.de, b@c.de", "x" * 10_000 + "@c.de", "a@" + "b." * 5_000 + "de", "a\x00@c.de"),
    ],
)
def test_what_is_no_address_or_may_run_is_none(text):
    assert email_of(text) is None


def audience(**arms: str) -> Audience:
    listed = {one: arm for one, arm in arms.items() if one != "control_elsewhere"}
    return Audience("a list", list(listed), {one: arm for one, arm in arms.items() if arm},
                    dict.fromkeys([*arms, "other"], "High"), dict.fromkeys(arms, 1.0))  # fmt: skip


def table(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    own = pd.DataFrame(rows, columns=["customer_id", "email", "phone", "consent"])
    return own.assign(email_consent=own["consent"], phone_consent=own["consent"])


def joined(people: Audience, *rows: tuple[str, str, str, str], platform: str = "csv"):
    done = join(people, table(*rows), formats()["platforms"][platform])
    assert len(done.rows) + sum(done.left_out.values()) == len(rows)  # none is lost
    return [row[0] for row in done.rows], dict(done.left_out)


def test_a_refusal_in_one_row_holds_for_the_customer_and_the_address():
    people = audience(a="treatment", b="treatment", c="treatment")
    found = joined(
        people,
        ("a", "a@x.de", "", "yes"),
        ("a", "a2@x.de", "", "no"),
        ("b", "b@x.de", "", "yes"),
        ("lead", "B@x.de ", "", "no"),
        ("c", "c@x.de", "", "yes"),
        ("c", "c@x.de", "", ""),
    )
    refused = "consent refused in another row of the customer or address"
    assert found == (["c"], {refused: 2, "consent refused": 1, "customer unknown to the run": 1,
                             "further contact of a customer who is in the file": 1})  # fmt: skip


def test_an_address_of_both_arms_is_in_neither():
    people = audience(a="treatment", b="control", c="treatment", control_elsewhere="control")
    found = joined(
        people,
        ("a", "home@x.de", "", "yes"),
        ("b", "HOME@x.de", "", ""),
        ("control_elsewhere", "c@x.de", "", "yes"),
        ("c", "c@x.de", "+49301234567", "yes"),
    )
    other = "address is also that of a customer in the other arm"
    assert found == ([], {other: 2, "consent left blank": 1, "not on this list": 1})


def test_an_address_is_once_in_the_file_in_the_order_of_the_list():
    rows = [("b", "x@x.de", "", "yes"), ("a", "x@x.de", "", "yes"), ("other", "o@x.de", "", "yes")]
    for order in (rows, rows[::-1]):
        sent, left_out = joined(audience(a="treatment", b="treatment"), *order)
        assert sent == ["a"]
        assert left_out == {"e-mail address is in the file for another customer": 1,
                            "not on this list": 1}  # fmt: skip


def test_hostile_contacts_are_counted():
    people = audience(**{f"c{n}": "treatment" for n in range(9)})
    sent, left_out = joined(
        people,
        ("c0", "Ann+Shop@X.de", "", "yes"),
        ("c1", "=cmd()@x.de", "", "yes"),
        ("c2", "", "", "yes"),
        ("c3", "x" * 10_000, "+4930123456", "yes"),
        ("c4", "d@x.de", "", "maybe"),
        ("c5", "e@x.de", "", ""),
        ("c6", "f@x.de", "0301", "yes"),
        ("", "g@x.de", "", "yes"),
        ("=1+1", "h@x.de", "", "yes"),
    )
    assert sent == ["c0", "c3", "c6"]
    assert left_out == {
        "what is no e-mail address that can be used": 1,
        "no e-mail address or phone number": 1,
        "consent neither yes nor no": 1,
        "consent left blank": 1,
        "no customer id": 1,
        "customer unknown to the run": 1,
    }


def test_no_contact_is_lost_whatever_they_are():
    chance = random.Random(7)
    people = audience(**{f"c{n}": chance.choice(["treatment", "control", ""]) for n in range(30)})
    ids = [*people.listed, "", "other", "lead"]
    texts = ["", "a@x.de", "b@x.de", "=x", "c@x.de", "+4930123456", "0", "é@x.de", "x" * 300]
    for platform in DOCUMENTED:
        for _ in range(40):
            rows = [
                (chance.choice(ids), chance.choice(texts), chance.choice(texts),
                 chance.choice(["yes", "yes", "no", "", "?"]))
                for _ in range(chance.randrange(60))
            ]  # fmt: skip
            sent, _ = joined(people, *rows, platform=platform)
            assert len(set(sent)) == len(sent)


def test_mailchimp_takes_no_foreign_letters_before_the_sign_and_no_long_texts():
    people = audience(a="treatment", b="treatment", **{"c" * 256: "treatment"})
    sent, left_out = joined(people, ("a", "é@x.de", "+4930123456", "yes"),
                            ("b", "b@é.de", "", "yes"), ("c" * 256, "c@x.de", "", "yes"),
                            platform="mailchimp")  # fmt: skip
    assert sent == ["b"]
    assert set(left_out) == {"what is no e-mail address that can be used",
                             "id or segment longer than 255 bytes"}  # fmt: skip


def test_contacts_are_in_the_output_and_nowhere_else(run, tmp_path):
    contacts = written(tmp_path / "contacts.csv", contacts_of(run))
    before = contents_of(run.resolve().parent)
    done = call_cli("audience", run, "--segment", "Low value", "--contacts", contacts,
                    "--for", "csv", "--output", tmp_path / "one.csv")  # fmt: skip
    assert done.code == 0, done.err
    assert contents_of(run.resolve().parent) == before
    assert "example.com" not in (done.out + done.err).lower()
    assert "@" not in (tmp_path / "one.csv").read_text("utf-8").split("\n")[0]
    refused = call_cli("audience", run, "--segment", "Low value", "--contacts", contacts,
                       "--for", "csv", "--output", run / "out")  # fmt: skip
    assert_refused(refused, "--output", "run's folder")


def test_the_control_arm_is_left_out_unless_carried_and_never_shown_ads(run, tmp_path):
    contacts = written(tmp_path / "contacts.csv", contacts_of(run))
    asked = ("audience", run, "--segment", "Low value", "--contacts", contacts, "--for")
    carried = call_cli(*asked, "hubspot", "--carry-control", "--output", tmp_path / "all.csv")
    assert carried.code == 0, carried.err
    assert {row["arm"] for row in read(tmp_path / "all.csv")} == {"treatment", "control"}
    assert_refused(call_cli(*asked, "meta", "--carry-control"), "--carry-control", "control arm")
    assert "campaign readout" not in carried.out  # the file itself is its list
    alone = call_cli(*asked, "google", "--output", tmp_path / "alone.csv")
    assert "needs arms.csv of both arms, give --output a new folder" in alone.out
    buyers = [row["customer_id"] for row in read(tmp_path / "all.csv") if row["arm"] == "treatment"]
    results = written(tmp_path / "orders.csv", [{"customer_id": one} for one in buyers])
    said = call_cli("campaign", "readout", tmp_path / "all.csv", results)
    assert said.code == 0, said.err
    assert "a change is shown" in said.out


def test_the_campaign_of_the_book_runs_as_it_is_printed(run, tmp_path, monkeypatch):
    """Every command of the chapter Using the results, with what the shop would have."""
    plan = pd.read_csv(run / "campaign_plan.csv")
    said = words.campaign_steps(plan, "shop")
    (tmp_path / "runs").symlink_to(run.parent)
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "contacts.csv", contacts_of(run))
    arms = read(run / "campaign_arms.csv")
    bought = [{"customer_id": one["customer_id"]} for one in arms if one["segment"] == "High value"]
    written(tmp_path / "orders.csv", bought[::3])
    commands = re.findall(r"^ *segmentation (.+)$", said, flags=re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["campaign", "audience", "campaign"]
    answers = [call_cli(*shlex.split(command)) for command in commands]
    assert [answer.code for answer in answers] == [0, 0, 0], [answer.err for answer in answers]
    assert answers[0].out.strip() in said
    first = plan.iloc[0]
    assert (
        f"{first['treatment']:,} to contact, {first['control']:,} in the control" in answers[1].out
    )
    assert f"at random {first['treatment']:,} to contact and {first['control']:,}" in said
    assert f"n = {first['treatment']:,}" in answers[2].out
    assert "Break-even" in answers[2].out
    assert "@" not in said
    assert not [one["customer_id"] for one in arms if f" {one['customer_id']} " in said]
    assert "audience 'runs/my shop.1a2b3c4d' --seg" in words.campaign_steps(
        plan, "my shop.1a2b3c4d"
    )
    assert "none to lead through" in words.campaign_steps(plan[:0], "shop")


def test_a_name_from_the_data_writes_no_markup_into_the_campaign_of_the_book(run):
    plan = pd.read_csv(run / "campaign_plan.csv").assign(segment="<b>`x`\n```", play="[a](b:c)")
    said = words.campaign_steps(plan, "shop")
    assert not re.search(r"<b>|\[a\]", re.sub(r"```bash\n.*\n *```", "", said))
    assert said.count("```") == 6  # three blocks, each begun and ended


def test_small_audiences_are_refused_with_what_was_left_out(run, tmp_path):
    rows = [row | {"consent": "no"} for row in contacts_of(run)]
    few = written(tmp_path / "few.csv", contacts_of(run)[:80] + rows[80:])
    asked = ("audience", run, "--segment", "Low value", "--contacts", few, "--for")
    refused = call_cli(*asked, "google", "--output", tmp_path / "out")
    assert_refused(refused, "google", "100 or more", "consent refused")
    assert not (tmp_path / "out").exists()
    assert_refused(call_cli(*asked, "csv", "--minimum", "99"), "--minimum is 99")


def test_large_audiences_are_split_by_bytes_and_rows(run, tmp_path, monkeypatch):
    contacts = written(tmp_path / "contacts.csv", contacts_of(run))
    form = formats()["platforms"]["klaviyo"]
    monkeypatch.setitem(form, "bytes", 3_000)
    monkeypatch.setitem(form, "rows", 30)
    done = call_cli("audience", run, "--segment", "Low value", "--contacts", contacts,
                    "--for", "klaviyo", "--output", tmp_path / "out")  # fmt: skip
    assert done.code == 0, done.err
    parts = sorted((tmp_path / "out").glob("audience-*.csv"))
    assert len(parts) > 4
    assert all(part.stat().st_size <= 3_000 for part in parts)
    rows = [row for part in parts for row in read(part)]
    assert all(len(read(part)) <= 30 for part in parts)
    assert len({row["customer_id"] for row in rows}) == len(rows) > 100
    one = call_cli("audience", run, "--segment", "Low value", "--contacts", contacts,
                   "--for", "klaviyo", "--output", tmp_path / "one.csv")  # fmt: skip
    assert_refused(one, "limit", "folder")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"customer_id": "0001", "email": "a@x.de"}], ("contacts.csv", "consent")),
        ([{"customer_id": "0001", "consent": "yes"}], ("contacts.csv", "email or phone")),
        ([{"id": "0001", "email": "a@x.de", "consent": "yes"}], ("contacts.csv", "customer_id")),
        ([{"customer_id": "1", "email": "a@x.de", "consent": "yes"}], ("'1' for '0001'", "zeros")),
        ([{"customer_id": "zz", "email": "a@x.de", "consent": "yes"}], ("none of its 1", "'0000'")),
        ([{"customer_id": "0001", "email": "a@x.de", "e-mail": "", "consent": "yes"}], ("e-mail",)),
    ],
)
def test_contacts_that_do_not_fit_are_refused(run, tmp_path, rows, words):
    contacts = written(tmp_path / "contacts.csv", rows)
    refused = call_cli("audience", run, "--segment", "Low value", "--contacts", contacts,
                       "--for", "csv", "--output", tmp_path / "out")  # fmt: skip
    assert_refused(refused, *words)


def test_every_format_says_where_its_rules_are_from():
    for name, form in formats()["platforms"].items():
        assert form["not_verified"], name
        for source in form["sources"]:
            assert source["url"].startswith("https://"), name
            assert re.fullmatch(r"\d{4}-\d\d-\d\d", str(source["checked"])), name
            assert source["title"] and source["says"], name
        assert form["sources"] or name == "csv"
    assert set(formats()["platforms"]) == set(DOCUMENTED)
