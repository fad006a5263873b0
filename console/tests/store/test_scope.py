"""The condition of SQL that a collection is, against the pure matching."""

from collections.abc import Callable

import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bartizan.policy.match import covers
from bartizan.policy.model import Collection, Workload
from bartizan.store import Database
from bartizan.store.scope import covered

# What names and patterns have in common, what LIKE or an image's host could stumble over, and letters beyond ASCII
# of which some become ASCII in lower case.
_PIECES = (
    "a",
    "B",
    "b",
    "-",
    "_",
    "%",
    "/",
    ".",
    ":",
    "docker.io/",
    "library/",
    "localhost/",
    "\\",
    "'",
    "\u212a",
    "\u017f",
    "é",
)
_names = st.lists(st.sampled_from(_PIECES), max_size=4).map("".join)
_patterns = st.lists(st.lists(st.sampled_from((*_PIECES, "*")), max_size=4).map("".join), min_size=1, max_size=3)
_scopes = st.builds(
    lambda apps, containers, images, labels: Collection(
        name="c", app_ids=tuple(apps), containers=tuple(containers), images=tuple(images), labels=labels
    ),
    st.just(["*"]) | _patterns,
    st.just(["*"]) | _patterns,
    st.just(["*"]) | _patterns,
    st.sampled_from([("*",), ("*",), ("team:a",), ("-team:a", "*"), ("",)]),
)
_workloads = st.builds(
    lambda app_id, container, image: Workload(app_id=app_id, container=container or None, image=image or None),
    _names,
    _names,
    _names,
)


def chosen(database: Database, collections: list[Collection], workloads: list[Workload]) -> set[int]:
    """Return which of the workloads the database finds in one of the collections."""
    rows = sa.union_all(
        *(
            sa.select(
                sa.literal(number).label("number"),
                sa.literal(item.app_id, sa.Text).label("app_id"),
                sa.literal(item.container or "", sa.Text).label("container_name"),
                sa.literal(item.image or "", sa.Text).label("image_name"),
            )
            for number, item in enumerate(workloads)
        )
    ).subquery()
    with database.read() as connection:
        return set(connection.execute(sa.select(rows.c.number).where(*covered(rows, collections))).scalars())


def test_sql_and_pure_matching_agree(fresh: Callable[[], Database]) -> None:
    """A row is found exactly when a collection covers its workload; with letters beyond ASCII never when none does."""
    database = fresh()

    @settings(max_examples=50)
    @given(st.lists(_scopes, max_size=3), st.lists(_workloads, min_size=1, max_size=12))
    @example([Collection(name="c", images=("nginx", "-*redis*"))], [
        Workload(app_id="a", image=name)
        for name in ("nginx", "docker.io/library/nginx", "docker.io/nginx", "Redis", "r.test:5/nginx", "team/nginx", "")
    ])  # fmt: skip
    @example([Collection(name="c", app_ids=("*", "-shop*"))], [Workload(app_id="\u017fhop"), Workload(app_id="SHOP_1")])
    def agree(collections: list[Collection], workloads: list[Workload]) -> None:
        found = chosen(database, collections, workloads)
        expected = {number for number, item in enumerate(workloads) if any(covers(each, item) for each in collections)}
        plain = {
            number
            for number, item in enumerate(workloads)
            if (item.app_id + (item.container or "") + (item.image or "")).isascii()
        }
        assert found <= expected
        assert found & plain == expected & plain

    agree()
    database.close()


def test_as_many_patterns_as_there_may_be(fresh: Callable[[], Database]) -> None:
    """Some thousand patterns make a condition that both databases take."""
    database = fresh()
    patterns = [f"app{number}*" for number in range(450)]
    many = [Collection(name=f"c{number}", app_ids=("shop",), images=(*patterns, f"-x{number}*")) for number in range(2)]
    names = ("app7", "app449z", "x1", "other")
    assert chosen(database, many, [Workload(app_id="shop", image=name) for name in names]) == {0, 1}
    assert chosen(database, [], [Workload(app_id="shop")]) == set()
    database.close()
