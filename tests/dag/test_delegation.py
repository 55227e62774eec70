import pytest

from contour.api.meta import ObjectMeta, Ref
from contour.api.projectcontour import (
    CertificateDelegation,
    TLSCertificateDelegation,
    TLSCertificateDelegationSpec,
)
from contour.dag.delegation import permitted
from contour.reactive import Engine
from contour.store import Store

SECRET = Ref("certs", "wildcard")


def delegation(secret: str, *targets: str, namespace: str = "certs", name: str = "d") -> TLSCertificateDelegation:
    return TLSCertificateDelegation(
        metadata=ObjectMeta(name=name, namespace=namespace),
        spec=TLSCertificateDelegationSpec((CertificateDelegation(secret, targets),)),
    )


class World:
    def __init__(self, *objects: TLSCertificateDelegation):
        self.engine = Engine()
        self.store = Store(self.engine)
        self.answers = self.engine.collection(
            "answers", keys=(frozenset({"shop", "certs", "*"}),), fn=lambda r, ns: permitted(r, self.store, SECRET, ns)
        )
        for obj in objects:
            self.store.apply(obj)
        self.engine.commit()


@pytest.mark.parametrize(
    ("objects", "allowed"),
    [
        ([], False),
        ([delegation("wildcard", "shop")], True),
        ([delegation("wildcard", "a", "shop")], True),
        ([delegation("wildcard", "*")], True),
        ([delegation("wildcard", "*", "x")], False),  # not a wildcard unless alone
        ([delegation("wildcard", "*", "shop")], True),
        ([delegation("wildcard")], False),
        ([delegation("wildcard", "")], False),
        ([delegation("wildcard", "SHOP")], False),
        ([delegation("other", "shop")], False),
        ([delegation("wildcard", "shop", namespace="shop")], False),  # it must stand beside the secret
        ([delegation("wildcard", "x"), delegation("wildcard", "shop", name="e")], True),
    ],
)
def test_another_namespace(objects: list[TLSCertificateDelegation], allowed: bool):
    assert World(*objects).answers.get("shop") is allowed


def test_the_own_namespace_needs_none():
    assert World().answers.get("certs") is True


def test_a_delegation_that_goes_away_permits_no_longer():
    world = World(delegation("wildcard", "shop"))
    world.store.delete("TLSCertificateDelegation", Ref("certs", "d"))
    changes = world.engine.commit()
    assert changes[world.answers].set == {"shop": False}
