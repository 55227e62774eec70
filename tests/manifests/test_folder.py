"""The folder as a dialogue: a file's reading in, changes out."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from contour.api.meta import ObjectRef
from contour.manifests.folder import GRACE, Change, Folder
from contour.manifests.reading import GONE, Contents, Entry, Unreadable


def key(name: str) -> ObjectRef:
    return ObjectRef("Service", "shop", name)


def contents(*objects: tuple[str, object]) -> Contents:
    return Contents(tuple(Entry(line, key(name), value) for line, (name, value) in enumerate(objects, 1)))


def refused(name: str, line: int = 1, text: str = "spec.ports: Required value") -> Entry:
    return Entry(line, key(name), None, text)


def texts(folder: Folder) -> list[str]:
    return [str(problem) for problem in folder.problems()]


def test_objects_appear_change_and_go_after_the_grace() -> None:
    folder = Folder()
    assert folder.feed("a.yaml", contents(("x", 1), ("y", 2)), 0) == [Change(key("x"), 1), Change(key("y"), 2)]
    assert folder.feed("a.yaml", contents(("x", 1), ("y", 3)), 1) == [Change(key("y"), 3)]
    assert folder.feed("a.yaml", contents(("y", 3)), 2) == []
    assert folder.deadline == 2 + GRACE
    assert folder.expire(2 + GRACE / 2) == []
    assert folder.expire(2 + GRACE) == [Change(key("x"))]
    assert folder.deadline is None
    assert dict(folder.objects()) == {key("y"): 3}


def test_unlink_and_create_drops_nothing() -> None:
    folder = Folder()
    folder.feed("a.yaml", contents(("x", 1)), 0)
    assert folder.feed("a.yaml", GONE, 1) == []
    assert folder.feed("a.yaml", contents(("x", 1)), 1 + GRACE / 2) == []
    assert folder.deadline is None
    assert folder.expire(10) == []
    assert dict(folder.objects()) == {key("x"): 1}


def test_an_object_that_moves_to_another_file_is_neither_dropped_nor_contested() -> None:
    folder = Folder()
    folder.feed("a.yaml", contents(("x", 1)), 0)
    folder.feed("a.yaml", GONE, 1)
    assert folder.feed("b.yaml", contents(("x", 1)), 1) == []
    assert texts(folder) == []
    assert folder.expire(2) == []
    assert folder.where(key("x")) == ("b.yaml", 1)


def test_an_object_in_two_files_names_both_and_the_first_is_served() -> None:
    folder = Folder()
    folder.feed("b.yaml", contents(("x", 1)), 0)
    assert folder.feed("a.yaml", contents(("w", 0), ("x", 2)), 0) == [Change(key("w"), 0)]
    assert texts(folder) == [
        "a.yaml:2: Service shop/x is also in b.yaml:1, which had it first and is the one that is served"
    ]
    assert folder.feed("b.yaml", contents(("x", 3)), 1) == [Change(key("x"), 3)]
    # The first gives it up: the second takes over at once.
    assert folder.feed("b.yaml", GONE, 2) == [Change(key("x"), 2)]
    assert texts(folder) == []


def test_an_object_twice_in_a_file_is_served_from_the_first() -> None:
    folder = Folder()
    assert folder.feed("a.yaml", contents(("x", 1), ("x", 2)), 0) == [Change(key("x"), 1)]
    assert texts(folder) == [
        "a.yaml:2: Service shop/x is already in line 1 of this file, which is the one that is served"
    ]


def test_a_refused_document_keeps_its_last_good_version_and_lets_the_others_change() -> None:
    folder = Folder()
    folder.feed("a.yaml", contents(("x", 1), ("y", 1)), 0)
    assert folder.feed("a.yaml", Contents((refused("x", 4), Entry(9, key("y"), 2))), 1) == [Change(key("y"), 2)]
    assert texts(folder) == ["a.yaml:4: spec.ports: Required value (its last good version is kept)"]
    assert folder.expire(9) == []
    assert dict(folder.objects()) == {key("x"): 1, key("y"): 2}
    # Removed, not only refused: now it goes.
    folder.feed("a.yaml", contents(("y", 2)), 10)
    assert folder.expire(11) == [Change(key("x"))]


def test_a_refused_document_that_was_never_good_is_only_reported() -> None:
    folder = Folder()
    assert folder.feed("a.yaml", Contents((refused("x"), Entry(5, None, None, "not an object"))), 0) == []
    assert texts(folder) == ["a.yaml:1: spec.ports: Required value", "a.yaml:5: not an object"]
    assert list(folder.objects()) == []


def test_a_document_that_cannot_be_told_may_be_any_that_was_there() -> None:
    folder = Folder()
    folder.feed("a.yaml", contents(("x", 1), ("y", 1)), 0)
    broken = Entry(3, None, None, "could not find expected ':'", lost=True)
    assert folder.feed("a.yaml", Contents((broken, Entry(9, key("y"), 2))), 1) == [Change(key("y"), 2)]
    assert texts(folder) == ["a.yaml:3: could not find expected ':' (its last good version is kept)"]
    assert folder.expire(9) == []
    assert dict(folder.objects()) == {key("x"): 1, key("y"): 2}


def test_an_unreadable_file_keeps_everything_it_had() -> None:
    folder = Folder()
    folder.feed("a.yaml", contents(("x", 1)), 0)
    folder.feed("a.yaml", GONE, 1)
    assert folder.feed("a.yaml", Unreadable("mapping values are not allowed here", 7), 1.05) == []
    assert folder.expire(5) == []
    assert texts(folder) == ["a.yaml:7: mapping values are not allowed here (its last good version is kept)"]
    assert folder.feed("a.yaml", contents(("x", 2)), 6) == [Change(key("x"), 2)]
    assert texts(folder) == []


def test_a_file_that_never_could_be_read() -> None:
    folder = Folder()
    folder.feed("a.yaml", Unreadable("permission denied"), 0)
    assert texts(folder) == ["a.yaml: permission denied"]
    assert folder.paths == ("a.yaml",)
    folder.feed("a.yaml", GONE, 1)
    assert texts(folder) == []
    assert folder.paths == ()


UNREADABLE = Unreadable("no", 1)
PATHS = st.sampled_from(["a.yaml", "b.yaml", "c/d.json"])
ENTRIES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("uvwxyz"), st.integers(0, 2)),
        st.tuples(st.sampled_from("uvwxyz"), st.none()),
    ),
    max_size=5,
)
READINGS = st.one_of(st.just(GONE), st.just(UNREADABLE), ENTRIES)
STEPS = st.lists(st.tuples(PATHS, READINGS, st.sampled_from([0.0, GRACE / 2, GRACE * 2])), max_size=25)


def as_contents(entries: list[tuple[str, int | None]]) -> Contents:
    return Contents(
        tuple(
            Entry(line, key(name), None, "refused") if value is None else Entry(line, key(name), value)
            for line, (name, value) in enumerate(entries, 1)
        )
    )


@example(
    [("b.yaml", [("u", 0)], 0.0), ("a.yaml", [("u", 1)], 0.0), ("b.yaml", GONE, 0.0), ("b.yaml", UNREADABLE, 0.0)], []
)
@given(STEPS, st.lists(st.tuples(PATHS, ENTRIES), max_size=3, unique_by=lambda item: item[0]))
def test_any_history_ends_in_what_the_final_folder_gives(steps: list, final: list) -> None:
    """Changes add up to the objects; and once every file is good, to those of a folder read afresh."""
    folder, seen, now = Folder(), {}, 0.0

    def take(changes: list[Change]) -> None:
        for change in changes:
            if change.value is None:
                assert seen.pop(change.key, None) is not None
            else:
                assert seen.get(change.key) != change.value
                seen[change.key] = change.value

    def feed(target: Folder, path: str, reading: object) -> list[Change]:
        return target.feed(path, as_contents(reading) if isinstance(reading, list) else reading, now)

    for path, reading, pause in steps:
        now += pause
        take(folder.expire(now))
        take(feed(folder, path, reading))
        assert seen == dict(folder.objects())
    good = {path: [(name, value or 0) for name, value in entries] for path, entries in final}
    for path in ("a.yaml", "b.yaml", "c/d.json"):
        take(feed(folder, path, good.get(path, GONE)))
    now += 1
    take(folder.expire(now))
    assert seen == dict(folder.objects())
    assert folder.deadline is None

    fresh = Folder()
    for path in sorted(good):
        feed(fresh, path, good[path])
    candidates: dict[ObjectRef, set[int]] = {}
    for entries in good.values():
        for name, value in dict(reversed(entries)).items():
            candidates.setdefault(key(name), set()).add(value)
    # Who had a contested object first depends on the history; everything else does not.
    assert seen.keys() == dict(fresh.objects()).keys() == candidates.keys()
    assert all(seen[which] in values for which, values in candidates.items())
    assert {p.path for p in folder.problems()} <= set(good)
    assert len(folder.problems()) == len(fresh.problems())
