"""What has to be written, from what stands in the objects."""

from __future__ import annotations

from typing import Any

from tests.dag.world import Mapping, ingress, ingressroute, root, service

from contour.api.decode import decode
from contour.api.meta import ObjectRef, Ref
from contour.control.pipeline import Pipeline
from contour.control.settings import load
from contour.dag.verdict import Finding
from contour.status import patch
from contour.status.patch import Patch, body

NOW = "2026-08-01T10:00:00Z"
KEY = ObjectRef("HTTPProxy", "shop", "a")


class Site:
    def __init__(self, config: str = "") -> None:
        self.pipeline = Pipeline(load(config))
        self.patches = patch.attach(self.pipeline.engine, self.pipeline.store, self.pipeline.statuses)

    def apply(self, *objects: Mapping) -> dict[ObjectRef, Patch]:
        """The patches that a commit reports."""
        for mapping in objects:
            self.pipeline.store.apply(decode(mapping))
        return self.pipeline.commit()[self.patches].set

    def patch(self, key: ObjectRef = KEY) -> Patch | None:
        return self.patches.get(key)


def versioned(obj: Mapping, version: str, status: Any = None) -> Mapping:
    metadata = {**obj["metadata"], "resourceVersion": version, "generation": 3, "uid": "u"}
    return {**obj, "metadata": metadata, **({"status": status} if status else {})}


def proxy(version: str = "7", status: Any = None) -> Mapping:
    return versioned(root("a", "a.test"), version, status)


def written(found: Patch | None, status: Any = None) -> dict[str, Any]:
    """The status as an API server keeps it after a merge patch."""
    assert found is not None
    return {**(status or {}), **body(found, NOW)["status"]}


def test_a_proxy_without_a_status_gets_one() -> None:
    site = Site()
    reported = site.apply(service(), proxy(status={"currentStatus": "NotReconciled", "description": "Waiting"}))
    assert set(reported) == {KEY}
    assert body(reported[KEY], NOW) == {
        "metadata": {"resourceVersion": "7"},
        "status": {
            "conditions": [
                {
                    "type": "Valid",
                    "status": "True",
                    "reason": "Valid",
                    "message": "Valid HTTPProxy",
                    "observedGeneration": 3,
                    "lastTransitionTime": NOW,
                }
            ],
            "currentStatus": "valid",
            "description": "Valid HTTPProxy",
        },
    }


def test_what_was_written_comes_back_and_changes_nothing() -> None:
    site = Site("ingress-status-address: 10.0.0.1")
    site.apply(service(), proxy())
    status = written(site.patch())
    runs = site.pipeline.graph.hosts.runs
    assert site.apply(proxy("8", status)) == {}
    assert site.patch() is None
    assert site.pipeline.graph.hosts.runs == runs, "a status is read by nothing that Envoy is told"


def test_only_what_differs_is_written() -> None:
    site = Site("ingress-status-address: 10.0.0.1")
    site.apply(service(), proxy())
    status = written(site.patch())
    stale = {**status, "loadBalancer": {"ingress": [{"ip": "10.0.0.2"}]}}
    site.apply(proxy("9", stale))
    found = site.patch()
    assert found is not None
    assert body(found, NOW)["status"] == {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}


def test_conditions_of_others_are_written_as_they_stand() -> None:
    site = Site()
    foreign = {"type": "Reviewed", "status": "True", "reason": "ByHand", "message": "", "lastTransitionTime": "then"}
    site.apply(service(), proxy(status={"conditions": [foreign]}))
    found = site.patch()
    assert found is not None
    first, second = body(found, NOW)["status"]["conditions"]
    assert first == foreign
    assert (second["type"], second["lastTransitionTime"]) == ("Valid", NOW)


def test_a_patch_follows_the_version_of_its_object() -> None:
    site = Site()
    site.apply(service(), proxy("7"))
    assert site.apply(proxy("8"))[KEY].resource_version == "8"


def test_errors_that_the_object_does_not_show_yet_are_news() -> None:
    site = Site()
    site.apply(proxy())
    text = 'Spec.Routes unresolved service reference: service "shop/web" not found'
    error = Finding("ServiceError", "ServiceUnresolvedReference", text)
    found = site.patch()
    assert found is not None
    assert found.news == (error,)
    status = written(found)
    assert site.apply(proxy("8", status)) == {}
    site.apply(service())
    found = site.patch()
    assert found is not None
    assert found.news == ()
    assert written(found)["conditions"][0]["status"] == "True"


def test_the_description_of_an_ingressroute_is_news_unless_it_is_valid() -> None:
    site = Site()
    key = ObjectRef("IngressRoute", "shop", "a")
    route = ingressroute("a", "a.test")
    site.apply(versioned(route, "7"))
    error = Finding("IngressRouteError", "Invalid", "Service [web:80] is invalid or missing")
    found = site.patch(key)
    assert found is not None
    assert found.news == (error,)
    assert site.apply(versioned(route, "8", written(found))) == {}
    site.apply(service())
    found = site.patch(key)
    assert found is not None
    assert (found.status["description"], found.news) == ("valid IngressRoute", ())


def test_what_an_envoy_refuses_of_an_ingressroute_is_news_as_such() -> None:
    """A replica that does not lead posts an Event for what its own Envoys refuse, and for nothing else."""
    site = Site()
    key = ObjectRef("IngressRoute", "shop", "a")
    site.apply(service(), versioned(ingressroute("a", "a.test"), "7"))
    site.pipeline.store.refusals.set(key, ("no such thing",))
    site.pipeline.commit()
    found = site.patch(key)
    assert found is not None
    assert found.status == {"currentStatus": "invalid", "description": "no such thing"}
    assert found.news == (Finding("EnvoyError", "Rejected", "no such thing"),)


def test_an_ingress_has_an_address_and_no_condition() -> None:
    site = Site("ingress-status-address: a.test, 10.0.0.1")
    site.apply(service(), versioned(ingress("i", "i.test"), "5"))
    found = site.patch(ObjectRef("Ingress", "shop", "i"))
    assert found is not None
    assert body(found, NOW) == {
        "metadata": {"resourceVersion": "5"},
        "status": {"loadBalancer": {"ingress": [{"hostname": "a.test"}, {"ip": "10.0.0.1"}]}},
    }
    assert site.apply(versioned(ingress("i", "i.test"), "6", written(found))) == {}
    assert site.patch(ObjectRef("Ingress", "shop", "i")) is None


def test_an_address_of_the_envoy_service_reaches_everything() -> None:
    site = Site()
    site.apply(service(), proxy(), versioned(ingress("i", "i.test"), "5"))
    assert site.patch(ObjectRef("Ingress", "shop", "i")) is None
    envoy = service("projectcontour/envoy", status={"loadBalancer": {"ingress": [{"ip": "10.9.9.9", "ipMode": "VIP"}]}})
    site.apply(envoy)
    found = site.patch(ObjectRef("Ingress", "shop", "i"))
    assert found is not None
    assert found.status == {"loadBalancer": {"ingress": [{"ip": "10.9.9.9"}]}}
    assert written(site.patch())["loadBalancer"] == {"ingress": [{"ip": "10.9.9.9", "ipMode": "VIP"}]}
    site.pipeline.store.delete("Service", Ref("projectcontour", "envoy"))
    site.apply(proxy("8", written(site.patch())))
    assert site.patch() is None, "an old address stays"


def test_an_object_that_is_gone_has_no_patch() -> None:
    site = Site()
    site.apply(service(), proxy())
    site.pipeline.store.delete("HTTPProxy", Ref("shop", "a"))
    changes = site.pipeline.commit()[site.patches]
    assert changes.removed == {KEY}
    assert site.pipeline.store.observed.get(KEY) is None


def test_a_newer_condition_with_an_empty_message_stays() -> None:
    """An API server takes it from anybody who may write a status; here it made every commit fail."""
    theirs = {"type": "Valid", "status": "True", "reason": "Theirs", "message": "", "observedGeneration": 9}
    site = Site()
    site.apply(service(), proxy(status={"conditions": [theirs]}))
    found = site.patch()
    assert found is not None
    assert found.status == {"currentStatus": "valid"}
