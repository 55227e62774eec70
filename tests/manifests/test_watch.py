"""A real folder on a real file system; each wait ends with the event that it waits for."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import pytest

from contour.manifests import watch as watching
from contour.manifests.folder import Folder
from contour.manifests.watch import Batch, FolderError, watch

SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: shop
spec:
  ports:
  - port: {port}
"""


def service(name: str, port: int) -> str:
    return SERVICE.format(name=name, port=port)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


class Seen:
    """What a reader of the batches knows."""

    def __init__(self, root: Path) -> None:
        self.folder = Folder()
        self.objects: dict[str, int] = {}
        self.dropped: list[str] = []
        self.notices: list[str] = []
        self._batches = watch(root, self.folder)
        self.task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def start(self) -> Seen:
        self._take(await anext(self._batches))
        self.task = asyncio.create_task(self._follow())
        return self

    async def stop(self) -> None:
        assert self.task
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self._batches.aclose()

    async def until(self, condition: Callable[[], bool], limit: float = 5) -> float:
        """Seconds until the condition held."""
        started = time.perf_counter()
        async with asyncio.timeout(limit):
            while not condition():
                self._news.clear()
                await self._news.wait()
        return time.perf_counter() - started

    async def _follow(self) -> None:
        async for batch in self._batches:
            self._take(batch)
            self._news.set()

    def _take(self, batch: Batch) -> None:
        if batch.notice:
            self.notices.append(batch.notice)
        for change in batch.changes:
            if change.value is None:
                del self.objects[change.key.name]
                self.dropped.append(change.key.name)
            else:
                self.objects[change.key.name] = change.value.spec.ports[0].port


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "folder"
    (root / "sub").mkdir(parents=True)
    (root / "a.yaml").write_text(service("a", 1))
    (root / "sub" / "b.yml").write_text(service("b", 1))
    (root / ".a.yaml.swp").write_text(service("hidden", 1))
    (root / "a.yaml~").write_text(service("backup", 1))
    (root / "notes.txt").write_text("no manifest")
    return root


@pytest.fixture
async def seen(root: Path) -> AsyncIterator[Seen]:
    seen = await Seen(root).start()
    yield seen
    await seen.stop()


async def test_the_first_batch_holds_everything(seen: Seen) -> None:
    assert seen.objects == {"a": 1, "b": 1}
    assert seen.folder.problems() == ()


async def test_an_edit_is_seen_within_milliseconds(seen: Seen, root: Path) -> None:
    times = []
    for port in range(2, 12):
        (root / "a.yaml").write_text(service("a", port))
        times.append(await seen.until(lambda port=port: seen.objects["a"] == port))
    assert sorted(times)[5] < 0.1


async def test_each_way_of_saving_keeps_the_object(seen: Seen, root: Path) -> None:
    path = root / "a.yaml"
    path.unlink()
    path.write_text(service("a", 2))
    await seen.until(lambda: seen.objects["a"] == 2)
    path.unlink()
    await asyncio.sleep(0.05)  # an editor that takes its time, within the grace
    path.write_text(service("a", 3))
    await seen.until(lambda: seen.objects["a"] == 3)
    (root / "new").write_text(service("a", 4))
    (root / "new").rename(path)
    await seen.until(lambda: seen.objects["a"] == 4)
    path.rename(root / "a.yaml~")
    path.write_text(service("a", 5))
    await seen.until(lambda: seen.objects["a"] == 5)
    with path.open("w") as file:  # truncated and flushed before it is written
        file.flush()
        await asyncio.sleep(0.03)
        file.write(service("a", 6))
    await seen.until(lambda: seen.objects["a"] == 6)
    assert seen.dropped == []


async def test_a_removed_file_and_a_removed_folder(seen: Seen, root: Path) -> None:
    (root / "a.yaml").unlink()
    assert await seen.until(lambda: "a" not in seen.objects) < 0.5
    shutil.rmtree(root / "sub")
    assert await seen.until(lambda: "b" not in seen.objects) < 0.5


async def test_new_folders_at_once_filled(seen: Seen, root: Path) -> None:
    (root / "x" / "y").mkdir(parents=True)
    (root / "x" / "y" / "c.json").write_text(
        '{"apiVersion":"v1","kind":"Service","metadata":{"name":"c","namespace":"shop"},"spec":{"ports":[{"port":7}]}}'
    )
    await seen.until(lambda: seen.objects.get("c") == 7)
    (root / "x").rename(root / "z")
    (root / "z" / "y" / "d.yaml").write_text(service("d", 8))
    await seen.until(lambda: seen.objects.get("d") == 8)
    assert seen.dropped == []
    assert seen.folder.problems() == ()


async def test_links_as_of_a_mounted_configmap(seen: Seen, root: Path) -> None:
    for generation in ("..1", "..2"):
        (root / generation).mkdir()
        (root / generation / "m.yaml").write_text(service("m", int(generation[2:])))
    (root / "..data").symlink_to("..1")
    (root / "m.yaml").symlink_to("..data/m.yaml")
    await seen.until(lambda: seen.objects.get("m") == 1)
    (root / "..data_tmp").symlink_to("..2")
    (root / "..data_tmp").replace(root / "..data")
    await seen.until(lambda: seen.objects.get("m") == 2)
    assert seen.dropped == []


async def test_a_link_to_a_file_outside_and_a_loop(seen: Seen, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(service("o", 1))
    (root / "o.yaml").symlink_to(tmp_path / "outside.yaml")
    (root / "sub" / "loop").symlink_to(root)
    await seen.until(lambda: seen.objects.get("o") == 1)
    (tmp_path / "outside.yaml").write_text(service("o", 22))
    await seen.until(lambda: seen.objects.get("o") == 22)
    assert seen.objects == {"a": 1, "b": 1, "o": 22}
    assert seen.folder.problems() == ()


async def test_a_file_that_cannot_be_read_keeps_its_objects(seen: Seen, root: Path) -> None:
    (root / "a.yaml").write_bytes(b"\xff\xfe")
    await seen.until(lambda: bool(seen.folder.problems()))
    assert str(seen.folder.problems()[0]) == f"{root}/a.yaml:1: not UTF-8 text (its last good version is kept)"
    (root / "a.yaml").unlink()
    os.mkfifo(root / "a.yaml")
    await seen.until(lambda: "not a regular file" in str(seen.folder.problems()))
    assert seen.objects["a"] == 1
    (root / "a.yaml").unlink()
    (root / "a.yaml").write_text(service("a", 2))
    await seen.until(lambda: seen.objects["a"] == 2)
    assert seen.folder.problems() == ()


async def test_a_folder_that_vanishes_and_comes_back(seen: Seen, root: Path) -> None:
    shutil.rmtree(root)
    await seen.until(lambda: bool(seen.notices))
    assert seen.objects == {"a": 1, "b": 1}
    write(root / "a.yaml", service("a", 2))
    await seen.until(lambda: seen.objects == {"a": 2})
    (root / "a.yaml").write_text(service("a", 3))
    await seen.until(lambda: seen.objects == {"a": 3})
    assert seen.notices == [f"{root} is gone: what it held is kept", f"{root} is back"]


async def test_a_large_file_does_not_hold_up_the_event_loop(seen: Seen, root: Path) -> None:
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(time.perf_counter())
            await asyncio.sleep(0.001)

    ticking = asyncio.create_task(tick())
    (root / "large.yaml").write_text("---\n".join(service(f"s{n}", 1) for n in range(2000)))
    await seen.until(lambda: "s1999" in seen.objects)
    (root / "large.yaml").write_text("---\n".join(service(f"s{n}", 1 + (n == 1000)) for n in range(2000)))
    assert await seen.until(lambda: seen.objects["s1000"] == 2) < 0.5
    ticking.cancel()
    assert max(b - a for a, b in pairwise(ticks)) < 0.25


async def test_without_inotify_the_folder_is_looked_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_watches(*_: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(watching, "RustNotify", no_watches)
    seen = await Seen(root).start()
    try:
        assert "cannot be watched (OS file watch limit reached)" in seen.notices[0]
        (root / "a.yaml").write_text(service("a", 2))
        assert await seen.until(lambda: seen.objects["a"] == 2) < 0.5
    finally:
        await seen.stop()


async def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=f"folder {tmp_path}/none does not exist"):
        await anext(watch(tmp_path / "none", Folder()))
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match=f"{tmp_path}/file is not a folder"):
        await anext(watch(tmp_path / "file", Folder()))


@pytest.mark.parametrize("spelling", [".", "../folder/", "./sub/.."])
async def test_however_the_folder_is_written(root: Path, monkeypatch: pytest.MonkeyPatch, spelling: str) -> None:
    monkeypatch.chdir(root)
    seen = await Seen(Path(spelling)).start()
    try:
        (root / "a.yaml").write_text(service("a", 2))
        (root / "sub" / "b.yml").write_text(service("b", 2))
        await seen.until(lambda: seen.objects == {"a": 2, "b": 2})
        assert seen.folder.problems() == ()
        assert {Path(path).name for path in seen.folder.paths} == {"a.yaml", "b.yml"}
        assert len(seen.folder.paths) == 2
    finally:
        await seen.stop()


async def test_a_link_to_itself_is_told(seen: Seen, root: Path) -> None:
    (root / "l.yaml").symlink_to("l.yaml")
    await seen.until(lambda: bool(seen.folder.problems()))
    assert str(seen.folder.problems()[0]) == f"{root}/l.yaml: Too many levels of symbolic links"
    (root / "l.yaml").unlink()
    await seen.until(lambda: not seen.folder.problems())


async def test_links_that_lead_nowhere_are_looked_at_with_the_whole_folder(root: Path) -> None:
    (root / "l.yaml").symlink_to("l.yaml")
    (root / "link").symlink_to("link")
    (root / "gone").symlink_to("nowhere")
    seen = await Seen(root).start()
    try:
        assert [str(problem) for problem in seen.folder.problems()] == [
            f"{root}/l.yaml: Too many levels of symbolic links"
        ]
        assert seen.objects == {"a": 1, "b": 1}
    finally:
        await seen.stop()


async def test_a_name_that_is_not_utf_8_costs_no_event(seen: Seen, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_RESCAN", 60.0)
    await seen.until(lambda: bool(seen.objects))
    other, odd = (Path(os.fsdecode(os.fsencode(root) + name)) for name in (b"/\xff.txt", b"/\xfe\xff.yaml"))
    times = []
    for port in range(2, 8):
        write(other, "x")
        write(odd, service("odd", port))
        await asyncio.sleep(0.06)
        (root / "a.yaml").write_text(service("a", port))
        times.append(await seen.until(lambda port=port: seen.objects["a"] == port == seen.objects.get("odd")))
    assert sorted(times)[3] < 0.2


def large(port: int) -> str:
    return "---\n".join(service(f"s{number}", port) for number in range(2000))


async def test_a_small_file_does_not_wait_for_a_large_one(seen: Seen, root: Path) -> None:
    (root / "large.yaml").write_text(large(1))
    await asyncio.sleep(0.05)
    (root / "a.yaml").write_text(service("a", 2))
    assert await seen.until(lambda: seen.objects["a"] == 2) < 0.4
    assert "s1999" not in seen.objects
    # Saved again while it is read: what it held last comes last.
    (root / "large.yaml").write_text(large(2))
    await seen.until(lambda: seen.objects.get("s1999") == 2, 10)
    (root / "large.yaml").write_text(large(3))
    await asyncio.sleep(0.05)
    (root / "large.yaml").write_text(service("s0", 4))
    await seen.until(lambda: seen.objects["s0"] == 4 and "s1999" not in seen.objects, 10)
    assert {name: seen.objects[name] for name in seen.objects if name.startswith("s")} == {"s0": 4}


async def test_an_object_that_moves_to_a_large_file_is_never_gone(seen: Seen, root: Path) -> None:
    (root / "large.yaml").write_text("---\n".join([large(1), service("a", 2)]))
    (root / "a.yaml").unlink()
    await seen.until(lambda: seen.objects.get("a") == 2, 10)
    assert seen.dropped == []
