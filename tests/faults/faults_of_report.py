"""`segmentation report`, killed at 20 points and on a full disk: book and run are of one kind.

Whoever reads sees the old report or the new one; after the next command that opens the
folder of runs, whatever it is, book and run belong together. Run by `make test-faults`.
"""

from __future__ import annotations

import pytest
from places import Place, orders

KILLS = 20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A report of the shop of yesterday; today's orders are there, their results remembered."""
    folder = tmp_path_factory.mktemp("report") / "shop"
    folder.mkdir()
    place = Place(folder)
    place.shop.lines(orders(40))
    place.call("report", *place.arguments).ok()
    place.call("run", *place.other_profile()).ok()
    place.old = seen(place)
    place.shop.lines(orders(44))
    place.save()
    place.call("report", *place.arguments).ok()
    place.call("run", *place.other_profile()).ok()
    place.keep_cache()
    place.restore(computed=True)
    place.changes = place.changes_of("report", *place.arguments)
    place.new = seen(place)
    assert all(place.old[part] != place.new[part] for part in ("run", "book"))
    assert len(place.changes) > 2 * KILLS
    return place


def seen(place: Place) -> dict[str, object]:
    """Book and run as readers see them; executed notebooks tell when, so they only have to be."""
    run = place.seen()
    notebooks = sorted(name for name in run if name.startswith("notebooks/"))
    rest = {name: content for name, content in run.items() if name not in notebooks}
    return {"run": rest, "notebooks": notebooks, "book": place.book()}


def whole(place: Place) -> None:
    """Each part is old or new, complete, whatever the other is at this moment."""
    now = seen(place)
    for part in ("run", "book"):
        assert now[part] in (place.old[part], place.new[part]), part


@pytest.mark.parametrize("point", range(KILLS))
def test_report_killed_at_any_point_leaves_one_report(place, point):
    """Five points are spread over the report, the others are its last changes."""
    place.restore(computed=True)
    n = len(place.changes)
    number = 1 + n * point // 5 if point < 5 else n - KILLS + point + 1
    done = place.killed(number, "report", *place.arguments)

    assert done.code in (-9, 0), done.err[-3000:]  # 0: this time it changed a file less
    whole(place)
    place.call("run", *place.other_profile()).ok()
    assert seen(place) in (place.old, place.new)
    # what was not finished goes when this profile is next written, see the test below
    assert all(name.startswith(".shop.") for name in place.leftovers()), place.leftovers()


def test_the_next_report_is_as_if_nothing_had_happened(place):
    place.restore(computed=True)
    assert place.killed(len(place.changes) - 3, "report", *place.arguments).code == -9
    place.call("report", *place.arguments).ok()
    assert seen(place) == place.new
    assert place.leftovers() == []
