from __future__ import annotations

import pytest

from contour.kube.config import load
from contour.kube.kubeconfig import ConfigurationError

FILE = """
current-context: c
contexts: [{name: c, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: 'https://NAME.example'}}]
"""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch, tmp_path):
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def write(path, name):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FILE.replace("NAME", name))
    return path


def test_a_path_goes_before_the_environment_and_that_before_the_home(tmp_path, monkeypatch):
    write(tmp_path / "home/.kube/config", "home")
    assert load().server == "https://home.example"
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/absent:{write(tmp_path / 'env', 'env')}")
    assert load().server == "https://env.example"
    assert load(write(tmp_path / "given", "given")).server == "https://given.example"


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        (None, ".kube/config does not exist (in a pod: --incluster)"),
        ("/not/there", "$KUBECONFIG: no such file: /not/there"),
    ],
)
def test_no_file(monkeypatch, variable, says):
    if variable:
        monkeypatch.setenv("KUBECONFIG", variable)
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert says in str(caught.value)


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match="nothing: No such file or directory"):
        load(tmp_path / "nothing")


def test_in_a_pod(tmp_path, monkeypatch):
    for name, text in {"token": "t", "ca.crt": "ca", "namespace": "projectcontour\n"}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    found = load(in_cluster=True, service_account=tmp_path)
    assert (found.server, found.namespace) == ("https://[fd00::1]:443", "projectcontour")
    assert (found.user.token_file, found.authority) == (tmp_path / "token", tmp_path / "ca.crt")


def test_not_in_a_pod(tmp_path, monkeypatch):
    with pytest.raises(ConfigurationError, match="this is not a pod"):
        load(in_cluster=True, service_account=tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(ConfigurationError, match="has no service account token mounted"):
        load(in_cluster=True, service_account=tmp_path)


def test_the_proxy_of_the_environment(tmp_path, monkeypatch):
    path = write(tmp_path / "file", "api")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    assert load(path).proxy == "http://proxy:1"
    monkeypatch.setenv("HTTPS_PROXY", "proxy:1")
    assert load(path).proxy == "http://proxy:1"
    for wrong in ("socks5://u:hidden@proxy:1", "http://u:hidden@proxy:x"):
        monkeypatch.setenv("HTTPS_PROXY", wrong)
        with pytest.raises(ConfigurationError, match=r"^\$HTTPS_PROXY: ") as caught:
            load(path)
        assert "hidden" not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", ".example")
    assert not load(path).proxy
