"""URLs as Go's net/url reads them. Errors of the recorded traces are among the cases."""

from __future__ import annotations

import pytest

from contour.api.invalid import Invalid
from contour.api.urls import URL, parse_url


@pytest.mark.parametrize(
    ("text", "scheme", "host", "hostname", "port"),
    [
        ("https://idp.test/jwks", "https", "idp.test", "idp.test", ""),
        ("HTTPS://IDP.test:8443/x?y#z", "https", "IDP.test:8443", "IDP.test", "8443"),
        ("https://user:pw@idp.test/x", "https", "idp.test", "idp.test", ""),
        ("https://[2001:db8::5]/jwks", "https", "[2001:db8::5]", "2001:db8::5", ""),
        ("https://[2001:db8::5]:444", "https", "[2001:db8::5]:444", "2001:db8::5", "444"),
        ("https://idp:/x", "https", "idp:", "idp", ""),
        ("https://idp:99999999999999999999/", "https", "idp:99999999999999999999", "idp", "99999999999999999999"),
        ("https://[::ffff:192.0.2.1]", "https", "[::ffff:192.0.2.1]", "::ffff:192.0.2.1", ""),
        ("https://[fe80::1%25en0]:1/", "https", "[fe80::1%en0]:1", "fe80::1%en0", "1"),
        ("mongodb://a:1,b:2/", "mongodb", "a:1,b:2", "a:1,b", "2"),
        ("ftp://x/y", "ftp", "x", "x", ""),
        ("idp.test", "", "", "", ""),
        ("//idp.test/x", "", "idp.test", "idp.test", ""),
        ("/rel", "", "", "", ""),
        ("mailto:someone", "mailto", "", "", ""),
        ("", "", "", "", ""),
        ("*", "", "", "", ""),
        ("http://höst.test/", "http", "höst.test", "höst.test", ""),
    ],
)
def test_parts(text: str, scheme: str, host: str, hostname: str, port: str) -> None:
    url = parse_url(text)
    assert url == URL(scheme, host)
    assert isinstance(url, URL)
    assert (url.hostname, url.port) == (hostname, port)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (":/x", 'parse ":/x": missing protocol scheme'),
        ("://bad", 'parse "://bad": missing protocol scheme'),
        ("%zz", 'parse "%zz": invalid URL escape "%zz"'),
        ("https://a/%2", 'parse "https://a/%2": invalid URL escape "%2"'),
        ("http://a\tb/", r'parse "http://a\tb/": net/url: invalid control character in URL'),
        ("http://[::1", "parse \"http://[::1\": missing ']' in host"),
        ("http://a:b/#f", 'parse "http://a:b/": invalid port ":b" after host'),
        ("http://[::1]x/", 'parse "http://[::1]x/": invalid port "x" after host'),
        ("http://a[::1]/", 'parse "http://a[::1]/": invalid IP-literal'),
        ("http://[192.0.2.1]/", 'parse "http://[192.0.2.1]/": invalid IP-literal'),
        ("http://[idp]/", 'parse "http://[idp]/": invalid host: ParseAddr("idp"): unable to parse IP'),
        ("http://2001:db8::5/", 'parse "http://2001:db8::5/": invalid port ":db8::5" after host'),
        ("https://foo bar/", 'parse "https://foo bar/": invalid character " " in host name'),
        ("https://a%zz/", 'parse "https://a%zz/": invalid URL escape "%zz"'),
        ("https://%41%42/", 'parse "https://%41%42/": invalid URL escape "%41"'),
        ("https://us er@a/", 'parse "https://us er@a/": net/url: invalid userinfo'),
        ("1a:b", 'parse "1a:b": first path segment in URL cannot contain colon'),
        ("https://a/#%zz", 'parse "https://a/#%zz": invalid URL escape "%zz"'),
    ],
)
def test_errors(text: str, error: str) -> None:
    assert parse_url(text) == Invalid(error)
