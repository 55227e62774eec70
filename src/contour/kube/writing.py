"""Writes: create, replace, patch, apply, and read-change-write with another try after a conflict."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from contour.kube.answers import Response
from contour.kube.client import MERGE_PATCH, Client, Params, Unreachable

APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML

# operations.md §9.3: at most 4 attempts, 10 ms and then five times as long each, with 10 % jitter.
ATTEMPTS = 4
_FIRST_WAIT, _FACTOR, _JITTER = 0.010, 5.0, 0.1

Value = Mapping[str, Any]
# The patch for an object: from its JSON as it is now, or from what the caller knows of it (None). None: nothing to do.
# A patch with `metadata.resourceVersion` is refused with a conflict when the object has changed since.
Change = Callable[[bytes | None], Value | None]


async def create(client: Client, path: str, value: Value, *, urgent: bool = False) -> Response:
    """`path` is the collection's. Not tried again when no answer comes: it may have been done."""
    return await client.request("POST", path, body=msgspec.json.encode(value), urgent=urgent)


async def replace(client: Client, path: str, value: Value, *, urgent: bool = False) -> Response:
    """Refused with a conflict when `metadata.resourceVersion` is not the present one."""
    return await client.request("PUT", path, body=msgspec.json.encode(value), urgent=urgent)


async def merge_patch(client: Client, path: str, change: Value) -> Response:
    """RFC 7396: null deletes, a list is replaced as a whole. For a status, `path` ends in `/status`."""
    return await _patch(client, path, change, MERGE_PATCH, None)


async def apply(client: Client, path: str, value: Value, *, manager: str, force: bool = True) -> Response:
    """Server-side apply: creates the object, or takes over the fields that `value` has."""
    params = {"fieldManager": manager, "force": "true" if force else "false"}
    return await _patch(client, path, value, APPLY_PATCH, params)


async def revise(
    client: Client,
    path: str,
    change: Change,
    *,
    subresource: str = "",
    read_first: bool = True,
    on_conflict: Callable[[], None] = lambda: None,
) -> Response | None:
    """Patch an object as `change` says of its present state; after a conflict read it and ask `change` again.

    `subresource`: `status` where that is what is patched. With `read_first` false the first attempt is made from what
    the caller knows: one request instead of two. None when there was nothing to do. The last conflict is an answer, as
    is every other refusal.
    """
    target = f"{path}/{subresource}" if subresource else path
    wait = _FIRST_WAIT
    for attempt in range(1, ATTEMPTS + 1):
        raw = None
        if read_first or attempt > 1:
            present = await client.request("GET", path)
            if not present.ok:
                return present
            raw = present.body
        patch = change(raw)
        if patch is None:
            return None
        response = await merge_patch(client, target, patch)
        if response.status != 409:
            return response
        on_conflict()
        if attempt < ATTEMPTS:
            await asyncio.sleep(wait * (1 + _JITTER * random.random()))  # noqa: S311  # spreads, hides nothing
            wait *= _FACTOR
    return response


async def _patch(client: Client, path: str, value: Value, content_type: str, params: Params | None) -> Response:
    body = msgspec.json.encode(value)
    try:
        return await client.request("PATCH", path, params=params, body=body, content_type=content_type)
    except Unreachable as error:
        # A connection that the server closed while it was idle; these patches may be done twice.
        if not error.dropped:
            raise
        return await client.request("PATCH", path, params=params, body=body, content_type=content_type)
