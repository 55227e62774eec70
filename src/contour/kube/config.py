"""Where the API server is and who we are: kubeconfig files, or what a pod is given."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import msgspec
from yarl import URL

from contour.kube.kubeconfig import Configuration, ConfigurationError, Source, User, read, url_error

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def load(
    path: Path | None = None,
    *,
    context: str = "",
    in_cluster: bool = False,
    service_account: Path = SERVICE_ACCOUNT,
) -> Configuration:
    """The configuration to use; raises ConfigurationError.

    `path`, else the files of $KUBECONFIG, else ~/.kube/config; with `in_cluster` none of them but the pod's own
    credentials (operations.md §1.3, step 4). A proxy of the environment is used as by every Go client.
    """
    configuration = _of_pod(service_account) if in_cluster else read(_sources(path), context)
    if not configuration.proxy:
        configuration = msgspec.structs.replace(configuration, proxy=_proxy(configuration.server))
    return configuration


def _sources(path: Path | None) -> list[Source]:
    if path is not None:
        return [_source(path.expanduser())]
    listed = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if not listed:
        default = Path.home() / ".kube" / "config"
        if not default.exists():
            raise ConfigurationError(
                f"no Kubernetes configuration: --kubeconfig and $KUBECONFIG are not set and {default} does not exist"
                " (in a pod: --incluster)"
            )
        return [_source(default)]
    present = [path for path in listed if path.exists()]
    if not present:
        raise ConfigurationError(f"$KUBECONFIG: no such file: {', '.join(map(str, listed))}")
    return [_source(path) for path in present]


def _source(path: Path) -> Source:
    try:
        return Source(path.absolute(), path.read_text())
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8 text") from None


def _of_pod(directory: Path) -> Configuration:
    origin = "in-cluster configuration"
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise ConfigurationError(
            f"{origin}: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is not a pod"
        )
    token, authority = directory / "token", directory / "ca.crt"
    for file in (token, authority):
        if not file.is_file():
            raise ConfigurationError(f"{origin}: {file} does not exist: the pod has no service account token mounted")
    namespace = directory / "namespace"
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    if wrong := url_error(server):
        raise ConfigurationError(f"{origin}: KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT: {server}: {wrong}")
    return Configuration(
        origin=origin,
        server=server,
        user=User(token_file=token),
        namespace=namespace.read_text().strip() if namespace.is_file() else "default",
        authority=authority,
    )


def _proxy(server: str) -> str:
    url = URL(server)
    if not url.host or proxy_bypass(url.authority) or url.host in {"localhost", "127.0.0.1", "::1"}:
        return ""
    proxy = getproxies().get(url.scheme, "")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy and (wrong := url_error(proxy)):
        raise ConfigurationError(f"${url.scheme.upper()}_PROXY: {wrong}")
    return proxy
