"""JWT providers in the `scoped` shape: what Envoy would refuse is left out of a chain, and the host's routes withheld.

A provider that is left out is one that its routes ask for in vain: nobody passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from contour.api.scalars import quote
from contour.dag.build import Graph
from contour.dag.graph import JwtProvider, LocalKeys
from contour.envoy import names, pb, rules
from contour.envoy.filters import jwt_authn
from contour.envoy.keysets import usable
from contour.reactive import Derived, Engine, Read

# What Envoy's parser of URLs takes (http_parser's `http_parser_parse_url`), of what Go's takes: for any other it refuses
# the whole listener. No port after a colon, a fragment right behind the host and a blank are some that differ.
_URI = re.compile(
    r"https?://"
    r"(?:[A-Za-z0-9\-_.!~*'()%;:&=+$,]*@)?"
    r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,9}))?"
    r"(?:[/?][!-~]*)?",
    re.ASCII | re.IGNORECASE,
)
_MAX_PORT = 65535
_MAX_URI = 65535  # its fields are counted in 16 bits


class Providers:
    """Declared on an engine. Eager, because a key set may be of many hosts: a rotation touches their chains alone."""

    def __init__(self, engine: Engine, graph: Graph) -> None:
        self._graph = graph
        self._unusable: Derived[LocalKeys, bool] = engine.derived("unusable key set", self._is_unusable, eager=True)

    def refusal(self, read: Read, provider: JwtProvider) -> str | None:
        """Why a provider cannot be sent; None if it can."""
        keys = provider.keys
        if isinstance(keys, LocalKeys):
            if read(self._unusable, keys):
                return f"JWT provider {provider.name}: Secret {keys.secret} has no key that Envoy can verify with"
            return None
        if not takes_uri(keys.uri):
            return f"JWT provider {provider.name}: http_uri.uri: Envoy does not take {quote(keys.uri)}"
        try:
            problems = rules.violations(jwt_authn.remote(keys, names.scoped_upstream(keys.cluster)))
        except ValueError as error:  # a duration that no field of the message holds
            return f"JWT provider {provider.name}: {error}"
        return f"JWT provider {provider.name}: {problems[0].path}: {problems[0].text}" if problems else None

    def http_filter(self, read: Read, providers: Iterable[JwtProvider]) -> pb.HttpFilter | None:
        providers = tuple(providers)
        refused = frozenset(one.name for one in providers if self.refusal(read, one) is not None)
        return jwt_authn.http_filter(
            providers, lambda keys: self._usable(read, keys), names.scoped_upstream, refused=refused
        )

    def _usable(self, read: Read, keys: LocalKeys) -> bytes | None:
        text = self._graph.key_set(read, keys)
        return None if text is None else usable(text)

    def _is_unusable(self, read: Read, keys: LocalKeys) -> bool:
        """A set that is no set at all is another matter: its root says so, and has no providers."""
        text = self._graph.key_set(read, keys)
        return text is not None and usable(text) is None


def takes_uri(uri: str) -> bool:
    """Whether Envoy takes an absolute http(s) URL, which Go has taken already."""
    match = _URI.fullmatch(uri)
    return match is not None and len(uri) <= _MAX_URI and int(match["port"] or 0) <= _MAX_PORT
