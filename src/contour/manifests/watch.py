"""The folder as the file system shows it: first everything, then what changes, as soon as it does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

from watchfiles._rust_notify import RustNotify  # the documented lower level: the watch stands when it is constructed

from contour.manifests.folder import Change, Folder
from contour.manifests.reading import GONE, LARGE, MAX_FILE, Contents, Gone, Unreadable, read
from contour.manifests.tree import SUFFIXES, Signature, hidden, identity, signature_of, walk

# A burst of events (an editor's save) is taken as one: it ends when 10 ms pass without another, or after 40 ms.
_STEP, _DEBOUNCE = 10, 40
# Looks at the whole folder beside the events find what no event tells: targets of symlinks outside, a folder renamed
# and replaced, an overflowed queue. Seconds between them, at least; and never more than this share of the time.
_RESCAN, _RESCAN_SHARE = 1.0, 0.02
# The same when looks are all there is, because the system has no watches left.
_POLL, _POLL_SHARE = 0.1, 0.1
# A folder that is new may have been filled before it was watched: one more look, a little later.
_SETTLE = 0.05


class FolderError(Exception):
    """The folder cannot be served at all; the text is for the user."""


_Readings = list[tuple[str, Contents | Unreadable | Gone]]


class Batch(NamedTuple):
    """What changed at once; `notice` tells about the folder itself."""

    changes: list[Change]
    notice: str = ""


async def watch(root: Path, state: Folder) -> AsyncIterator[Batch]:
    """Batches without end; the first holds everything. A batch without changes means that problems may have changed.

    Raises FolderError when the folder cannot be read at the start; later its objects are kept until it is back.
    """
    check(root)
    watcher = _Watcher(root, state)
    try:
        async for batch in watcher.run():
            yield batch
    finally:
        watcher.close()


class _Watcher:
    def __init__(self, root: Path, state: Folder) -> None:
        self._root = root
        self._state = state
        self._signatures: dict[str, Signature] = {}
        self._contents: dict[str, Contents] = {}
        self._identity: tuple[int, int] | None = None
        self._events: asyncio.Queue[set[str]] = asyncio.Queue()
        self._source: _Source | None = None
        self._next_look = 0.0
        self._settling = False
        # What is being read away from the event loop, and since when. A file among it that changes once more has to
        # wait, so that what was read first never comes last.
        self._readings: dict[asyncio.Task[_Readings], float] = {}
        self._busy: set[str] = set()
        self._again: dict[str, Signature | None] = {}

    async def run(self) -> AsyncIterator[Batch]:
        notice = self._open()
        yield Batch(await self._look_at_all(), notice)
        while True:
            paths = await self._wait()
            changes = self._finish() + self._expire()
            if not self._same_root():
                yield Batch(changes, f"{self._root} is gone: what it held is kept")
                await self._return()
                notice = self._open()
                yield Batch(await self._look_at_all(), notice or f"{self._root} is back")
                continue
            if paths:
                files = {path: signature_of(path) for path in paths if path.endswith(SUFFIXES) and not hidden(path)}
                changes += self._take({path: signature for path, signature in files.items() if signature})
                if any(files.get(path) is None for path in paths):
                    # Folders, links to folders, what is gone: the names of the events do not tell all about them.
                    self._next_look, self._settling = 0.0, True
            elif time.monotonic() >= self._next_look:
                changes += await self._look()
            yield Batch(changes)

    def close(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None
        for task in self._readings:
            task.cancel()

    def _open(self) -> str:
        """Watch the folder that has the name now."""
        if self._source is not None:
            self._source.close()
            self._source = None
        self._identity = identity(self._root)
        try:
            self._source = _Source(self._root, self._events)
        except (OSError, RuntimeError) as error:  # no inotify watches left, or a file system that has none
            return f"{self._root} cannot be watched ({error}): looking at it again and again instead"
        return ""

    def _same_root(self) -> bool:
        return self._root.is_dir() and identity(self._root) == self._identity

    async def _return(self) -> None:
        while not self._root.is_dir():  # noqa: ASYNC110  # nobody tells when a folder appears
            await asyncio.sleep(_POLL)

    async def _wait(self) -> set[str]:
        """Paths of the next events; none when a reading ended, or it is time to look again or to drop what is missing."""
        deadline = self._next_look
        if not self._readings and self._state.deadline is not None:
            deadline = min(deadline, self._state.deadline)
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                paths = await self._events.get()
        except TimeoutError:
            return set()
        while not self._events.empty():
            paths |= self._events.get_nowait()
        return paths

    async def _look(self, *, together: bool = False) -> list[Change]:
        """Compare the whole folder with what is known of it."""
        started = time.monotonic()
        found = await asyncio.to_thread(lambda: dict(sorted(walk(str(self._root), self._signatures))))
        changed: dict[str, Signature | None] = {
            path: signature for path, signature in found.items() if self._signatures.get(path) != signature
        }
        changed |= {path: None for path in self._signatures if path not in found}
        pause, share = (_RESCAN, _RESCAN_SHARE) if self._source else (_POLL, _POLL_SHARE)
        now = time.monotonic()
        self._next_look = now + (_SETTLE if self._settling else max(pause, (now - started) / share))
        self._settling = False
        return self._take(changed, together=together)

    async def _look_at_all(self) -> list[Change]:
        """The whole folder as one change, the files in order of their names."""
        changes: list[Change] = []
        while self._readings:
            await asyncio.wait(self._readings)
            changes += self._finish()
        changes += await self._look(together=True)
        while self._readings:
            await asyncio.wait(self._readings)
            changes += self._finish()
        return changes

    def _expire(self) -> list[Change]:
        """Drop what is missing, unless a file that is being read may have it: since before that began."""
        return self._state.expire(min((time.monotonic(), *self._readings.values())))

    def _take(self, files: Mapping[str, Signature | None], *, together: bool = False) -> list[Change]:
        """Read files that changed and feed what they hold.

        What takes long is read away from the event loop, each large file by itself: nothing else waits for it.
        """
        now: dict[str, Signature | None] = {}
        for path, signature in files.items():
            if path in self._busy:
                self._again[path] = signature
                continue
            self._remember(path, signature)
            if signature is not None and signature.size > LARGE and not together:
                self._start({path: signature})
            else:
                now[path] = signature
        if sum(signature.size for signature in now.values() if signature) > LARGE:
            self._start(now)
            return []
        return self._feed(self._read(now))

    def _remember(self, path: str, signature: Signature | None) -> None:
        if signature is None:
            self._signatures.pop(path, None)
        else:
            self._signatures[path] = signature

    def _start(self, files: Mapping[str, Signature | None]) -> None:
        self._busy |= files.keys()
        task = asyncio.create_task(asyncio.to_thread(self._read, files))
        self._readings[task] = time.monotonic()
        task.add_done_callback(lambda _: self._events.put_nowait(set()))

    def _finish(self) -> list[Change]:
        """Feed what has been read meanwhile, and read again what has changed since."""
        changes: list[Change] = []
        for task in [task for task in self._readings if task.done()]:
            del self._readings[task]
            readings = task.result()
            self._busy -= {path for path, _ in readings}
            changes += self._feed(readings)
            again = {path: self._again.pop(path) for path, _ in readings if path in self._again}
            changes += self._take(again)
        return changes

    def _feed(self, readings: _Readings) -> list[Change]:
        changes = []
        for path, reading in readings:
            if isinstance(reading, Contents):
                self._contents[path] = reading
            elif isinstance(reading, Gone):
                self._contents.pop(path, None)
            changes += self._state.feed(path, reading, time.monotonic())
        return changes

    def _read(self, files: Mapping[str, Signature | None]) -> _Readings:
        return [(path, _read(path, signature, self._contents.get(path))) for path, signature in files.items()]


class _Source:
    """Events of a folder, from a thread of their own."""

    def __init__(self, root: Path, events: asyncio.Queue[set[str]]) -> None:
        # Events name absolute paths, while the folder's files are called as the user called the folder.
        self._root, self._absolute = str(root), str(root.absolute())
        self._notify = RustNotify([self._absolute], False, False, 0, True, True)
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, args=(events,), name="folder events", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._notify.close()

    def _run(self, events: asyncio.Queue[set[str]]) -> None:
        while not self._stop.is_set():
            try:
                found = self._notify.watch(_DEBOUNCE, _STEP, 1000, self._stop)
            except RuntimeError:  # a name that is not UTF-8: it tells of that event again and again
                self._renew()
                found = {(0, self._absolute)}
            if isinstance(found, set) and not self._stop.is_set():
                paths = {self._root + path.removeprefix(self._absolute) for _, path in found}
                self._loop.call_soon_threadsafe(events.put_nowait, paths)

    def _renew(self) -> None:
        """Watch anew. Whoever gets the folder's own name as an event looks at all of it."""
        self._notify.close()
        while not self._stop.is_set():
            try:
                self._notify = RustNotify([self._absolute], False, False, 0, True, True)
            except (OSError, RuntimeError):  # gone, or no watches left: until then others look again and again
                self._stop.wait(_RESCAN)
            else:
                return


def check(root: Path) -> None:
    if not root.exists():
        raise FolderError(f"folder {root} does not exist")
    if not root.is_dir():
        raise FolderError(f"{root} is not a folder")


def _read(path: str, signature: Signature | None, earlier: Contents | None) -> Contents | Unreadable | Gone:
    if signature is None:
        return GONE
    if not signature.regular:
        return Unreadable("not a regular file")
    if signature.size > MAX_FILE:
        return Unreadable(f"{signature.size} bytes, more than the {MAX_FILE} that are read")
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE)
    except FileNotFoundError:
        return GONE
    except OSError as error:
        return Unreadable(error.strerror or str(error))
    return read(data, json=path.endswith(".json"), earlier=earlier)
