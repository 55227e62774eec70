from __future__ import annotations

import base64
from pathlib import Path

import pytest

from contour.kube.kubeconfig import ConfigurationError, Exec, Source, read

HOME = Path("/home/me/.kube/config")


def data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def config(user: str = "{token: secret}", cluster: str = "{server: 'https://api:6443'}", more: str = "") -> str:
    return f"""
apiVersion: v1
kind: Config
current-context: main
contexts:
- name: main
  context: {{cluster: one, user: me, namespace: web}}
- name: other
  context: {{cluster: nowhere, user: me}}
clusters:
- name: one
  cluster: {cluster}
users:
- name: me
  user: {user}
{more}"""


def reading(text: str, context: str = ""):
    return read([Source(HOME, text)], context)


def test_a_token():
    found = reading(config())
    assert (found.server, found.namespace, found.user.token) == ("https://api:6443", "web", "secret")
    assert found.origin == f"{HOME}: context 'main'"


def test_what_the_cluster_says():
    found = reading(
        config(
            cluster=f"{{server: 'https://api/prefix/', certificate-authority-data: {data('CA')}, tls-server-name: k,"
            " proxy-url: 'http://proxy:3128', insecure-skip-tls-verify: true}"
        )
    )
    assert found.server == "https://api/prefix"
    assert found.authority == b"CA"
    assert (found.server_name, found.proxy, found.insecure) == ("k", "http://proxy:3128", True)


def test_relative_paths_start_at_the_file():
    found = reading(
        config(
            user="{client-certificate: pki/crt, client-key: /abs/key, tokenFile: t}",
            cluster="{server: 'https://a', certificate-authority: ca.crt}",
        )
    )
    assert found.authority == HOME.parent / "ca.crt"
    assert found.user.certificate == HOME.parent / "pki/crt"
    assert found.user.private_key == Path("/abs/key")
    assert found.user.token_file == HOME.parent / "t"


def test_data_goes_before_a_path():
    found = reading(config(user=f"{{client-certificate: x, client-certificate-data: {data('C')}, client-key: k}}"))
    assert found.user.certificate == b"C"


def test_a_program():
    found = reading(
        config(
            user="""
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: ./login
      args: [-x]
      env: [{name: A, value: b}]
      provideClusterInfo: true
      interactiveMode: Never
      installHint: get it"""
        )
    )
    assert found.user.plugin == Exec(
        api_version="client.authentication.k8s.io/v1",
        command="./login",
        args=("-x",),
        env=(("A", "b"),),
        install_hint="get it",
        provide_cluster_info=True,
        directory=HOME.parent,
    )


def test_impersonation():
    found = reading(config(user="{token: t, as: jane, as-groups: [a, b]}"))
    assert found.user.impersonate == (
        ("Impersonate-User", "jane"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
    )


def test_the_first_file_of_several_has_the_say():
    first = "current-context: x\nusers: [{name: me, user: {token: first}}]"
    second = (
        config(more="").replace("current-context: main", "current-context: ignored").replace("name: main", "name: x")
    )
    found = read([Source(Path("/a"), first), Source(Path("/b"), second)])
    assert (found.user.token, found.server, found.origin) == ("first", "https://api:6443", "/b: context 'x'")


def test_nulls_count_as_absent():
    assert reading(config(user="{token: t, exec: null, auth-provider: null}")).user.token == "t"


@pytest.mark.parametrize(
    ("text", "context", "says"),
    [
        ("", "", f"{HOME}: current-context is not set and no context is given"),
        ("a: [", "", f"{HOME}:2: while parsing a flow node"),
        ("[]", "", f"{HOME}: Expected `object`, got `array`"),
        ("clusters: 3", "", f"{HOME}: clusters: Expected `array`, got `int`"),
        ("contexts: [{context: {}}]", "", f"{HOME}: contexts[0]: Object missing required field `name`"),
        (config(), "prod", f"{HOME}: contexts has no 'prod', there are: main, other"),
        (config(), "other", f"{HOME}: context 'other': clusters has no 'nowhere', there are: one"),
        (config(cluster="{}"), "", f"{HOME}: context 'main': cluster 'one': server is not set"),
        (config(cluster="{server: 'ftp://a'}"), "", "one': server: it does not begin with http:// or https://"),
        (config(cluster="{server: 'https://a:99999'}"), "", "cluster 'one': server: its host or its port is none"),
        (config(cluster="{server: 'https://a:b'}"), "", "cluster 'one': server: its host or its port is none"),
        (config(cluster="{server: 'https://[a'}"), "", "cluster 'one': server: its host or its port is none"),
        (config(cluster="{server: 'https://'}"), "", "cluster 'one': server: it names no host"),
        (config(cluster="{server: 'https://u:secret@a'}"), "", "server: a user and a password belong to the fields of"),
        (config(cluster="{server: [1]}"), "", "cluster 'one': server: Expected `str`, got `array`"),
        (
            config(cluster="{server: 'https://a', proxy-url: 'socks5://u:secret@b'}"),
            "",
            "proxy-url: it does not begin with",
        ),
        (
            config(cluster="{server: 'https://a', proxy-url: 'http://u:secret@b:x'}"),
            "",
            "proxy-url: its host or its port",
        ),
        (
            config(cluster="{server: 'https://a', certificate-authority-data: '***'}"),
            "",
            "cluster 'one': certificate-authority-data: not base64",
        ),
        (config(user="{client-certificate: x}"), "", "user 'me': client-key: a client certificate needs both"),
        (config(user="{auth-provider: {name: gcp}}"), "", "auth-provider: 'gcp' is not supported, use an exec plugin"),
        (config(user="{exec: {apiVersion: v7, command: x}}"), "", "user 'me': exec: apiVersion: 'v7' is not one of"),
        (config(user="{exec: {apiVersion: client.authentication.k8s.io/v1}}"), "", "exec: command is not set"),
        (
            config(user="{exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Always}}"),
            "",
            "interactiveMode: Always: there is nobody to ask",
        ),
        (config(user="{as-user-extra: {a: [b]}}"), "", "as-user-extra is not supported"),
    ],
)
def test_errors_name_file_context_and_field(text, context, says):
    with pytest.raises(ConfigurationError) as caught:
        reading(text, context)
    assert says in str(caught.value)


def test_secrets_do_not_show():
    found = reading(
        config(user=f"{{token: hidden, password: hidden, client-key-data: {data('hidden')}, client-certificate: c}}")
    )
    assert "hidden" not in repr(found)
    assert "hidden" not in str(found)
