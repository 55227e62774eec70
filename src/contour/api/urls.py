"""URLs as Go's net/url reads them: which parts one has, and the text of the error if it is none (httpproxy.md §2.15).

Only what a remote key set and an allowed origin need: the scheme and the host. Paths, queries and user names are checked
as far as a mistake in them makes the whole no URL.
"""

from __future__ import annotations

import ipaddress
import re

import msgspec

from contour.api.invalid import Invalid
from contour.api.scalars import quote

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PORT = re.compile(r"(?::[0-9]*)?\Z", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*\Z", re.ASCII)
_HEX = frozenset("0123456789abcdefABCDEF")
# RFC 3986's reg-name, and what Go tolerates besides. Bytes above ASCII pass.
_HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~!$&'()*+,;=:[]<>\"")
_ASCII = 0x80
_WEB = ("http", "https")
_IPV6 = 6


class URL(msgspec.Struct, frozen=True, gc=False):
    """`scheme` is in lower case, "" if there is none; `host` is as written, with its port (a zone unescaped)."""

    scheme: str
    host: str

    @property
    def hostname(self) -> str:
        """The host without port and brackets."""
        name, _ = self._split()
        return name[1:-1] if name.startswith("[") and name.endswith("]") else name

    @property
    def port(self) -> str:
        """As written; "" if there is none."""
        return self._split()[1]

    def _split(self) -> tuple[str, str]:
        name, colon, port = self.host.rpartition(":")
        if not colon or not _PORT.match(":" + port):
            return self.host, ""
        return name, port


def parse_url(text: str) -> URL | Invalid:
    before_fragment, _, fragment = text.partition("#")
    parsed = _parse(before_fragment)
    if isinstance(parsed, Invalid):
        return Invalid(f"parse {quote(before_fragment)}: {parsed.text}")
    if error := _escape_error(fragment):
        return Invalid(f"parse {quote(text)}: {error}")
    return parsed


def _parse(text: str) -> URL | Invalid:
    if any(char < " " or char == "\x7f" for char in text):
        return Invalid("net/url: invalid control character in URL")
    if text.startswith(":"):
        return Invalid("missing protocol scheme")
    matched = _SCHEME.match(text)
    scheme = matched[0][:-1].lower() if matched else ""
    rest = text[matched.end() :] if matched else text
    rest = rest.partition("?")[0]
    if not rest.startswith("/"):
        if scheme:
            return URL(scheme, "")
        if ":" in rest.partition("/")[0]:
            return Invalid("first path segment in URL cannot contain colon")
    host = ""
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        parsed = _authority(scheme, authority)
        if isinstance(parsed, Invalid):
            return parsed
        host, rest = parsed, slash + path
    if error := _escape_error(rest):
        return Invalid(error)
    return URL(scheme, host)


def _authority(scheme: str, authority: str) -> str | Invalid:
    user, at, host = authority.rpartition("@")
    parsed = _host(scheme, host)
    if isinstance(parsed, Invalid) or not at:
        return parsed
    if not _USER.match(user):
        return Invalid("net/url: invalid userinfo")
    error = _escape_error(user)
    return Invalid(error) if error else parsed


def _host(scheme: str, host: str) -> str | Invalid:
    bracket = host.rfind("[")
    if bracket > 0:
        return Invalid("invalid IP-literal")
    if bracket == 0:
        return _literal(host)
    # Lists of hosts with ports (`a:1,b:2`) are for the schemes of databases.
    _, colon, port = host.partition(":") if scheme in _WEB else host.rpartition(":")
    if not _PORT.match(colon + port if colon else ""):
        return Invalid(f"invalid port {quote(colon + port)} after host")
    error = _escape_error(host, host=True)
    return Invalid(error) if error else host


def _literal(host: str) -> str | Invalid:
    """`[ADDRESS%25ZONE]:PORT`, the address of IPv6; as Go has it afterwards, with the zone unescaped."""
    address, closing, port = host[1:].rpartition("]")
    if not closing:
        return Invalid("missing ']' in host")
    if not _PORT.match(port):
        return Invalid(f"invalid port {quote(port)} after host")
    if error := _escape_error(address, host=True):
        return Invalid(error)
    bare = address.replace("%25", "%", 1)
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        return Invalid(f"invalid host: ParseAddr({quote(bare)}): unable to parse IP")
    return f"[{bare}]{port}" if found.version == _IPV6 else Invalid("invalid IP-literal")


def _escape_error(text: str, *, host: bool = False) -> str:
    """A host may be escaped only where no ASCII character hides behind it."""
    i = 0
    while i < len(text):
        if text[i] == "%":
            escape = text[i : i + 3]
            if len(escape) < 3 or not _HEX.issuperset(escape[1:]) or (host and escape[1] < "8" and escape != "%25"):
                return f"invalid URL escape {quote(escape)}"
            i += 3
            continue
        if host and ord(text[i]) < _ASCII and text[i] not in _HOST:
            return f"invalid character {quote(text[i])} in host name"
        i += 1
    return ""
