from __future__ import annotations

from contour.api import crds
from contour.api.core import Namespace
from contour.api.decode import CLUSTER_SCOPED, REGISTRY
from contour.kube.kinds import BY_NAME, KINDS, Kind, places, wanted


def test_paths():
    assert BY_NAME["Service"].path() == "/api/v1/services"
    assert BY_NAME["HTTPProxy"].path("web") == "/apis/projectcontour.io/v1/namespaces/web/httpproxies"
    assert BY_NAME["Secret"].path_of("a", "b") == "/api/v1/namespaces/a/secrets/b"


def test_namespaces_are_listed_one_by_one():
    assert places(BY_NAME["Service"], ["a", "b", "a"]) == ("a", "b")
    assert places(BY_NAME["Service"], []) == ("",)
    assert places(Kind(Namespace, "namespaces", namespaced=False), ["a"]) == ("",)


def test_a_disabled_feature_is_left_out():
    assert "ExtensionService" in {kind.name for kind in wanted()}
    assert {kind.name for kind in KINDS} - {kind.name for kind in wanted(["extensionservices"])} == {"ExtensionService"}


def test_the_table_agrees_with_the_decoder():
    for kind in KINDS:
        assert REGISTRY[kind.type.api_version, kind.name.partition(".")[0]] is kind.type
        assert kind.namespaced == (kind.type not in CLUSTER_SCOPED)
        if kind.name in crds.NAMES:
            assert crds.NAMES[kind.name].partition(".")[0] == kind.plural
