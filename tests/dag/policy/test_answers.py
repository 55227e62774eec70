"""Policies by which Envoy answers itself: redirects and direct responses."""

from contour.api.invalid import Invalid
from contour.api.projectcontour import HTTPDirectResponsePolicy, HTTPRequestRedirectPolicy
from contour.dag.graph import DirectResponse, Redirect
from contour.dag.policy.directresponse import direct_response
from contour.dag.policy.redirect import redirect


def test_redirect():
    policy = HTTPRequestRedirectPolicy("https", "a.test", 8443, 307, "/new")
    assert redirect(policy) == Redirect("a.test", "https", 8443, 307, "/new")
    assert redirect(HTTPRequestRedirectPolicy(prefix="/p")) == Redirect(prefix="/p")
    assert redirect(HTTPRequestRedirectPolicy()) == Redirect()


def test_redirect_to_path_and_prefix():
    policy = HTTPRequestRedirectPolicy(path="/a", prefix="/b")
    assert redirect(policy) == Invalid("cannot specify both redirect path and redirect prefix")


def test_direct_response():
    assert direct_response(HTTPDirectResponsePolicy(418, "short and stout")) == DirectResponse(418, "short and stout")
    assert direct_response(HTTPDirectResponsePolicy(404)) == DirectResponse(404)
