"""Who may use a Secret of another namespace: TLSCertificateDelegation, of both groups (httpproxy.md §2.5)."""

from __future__ import annotations

from contour.api.meta import Ref
from contour.reactive import Read
from contour.store import Store


def permitted(read: Read, store: Store, secret: Ref, namespace: str) -> bool:
    """Whether an object of `namespace` may refer to `secret`.

    `*` allows everybody only where it stands alone; next to other names it is no namespace, and allows nobody.
    """
    if secret.namespace == namespace:
        return True
    # An object of either group grants to all kinds (operations.md §12.5).
    granted = read(store.delegations_by_secret, secret) | read(store.heptio_delegations_by_secret, secret)
    return any(targets == ("*",) or namespace in targets for targets in granted)
