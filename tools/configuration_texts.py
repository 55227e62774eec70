"""What each key of the configuration file is for, section by section: the words of its reference page."""

from __future__ import annotations

from typing import NamedTuple


class Text(NamedTuple):
    """`default`: where the structure's own says nothing. `flag`: the flag of `serve` that says the same."""

    effect: str
    default: str = ""
    flag: str = ""


SECTIONS: tuple[tuple[str, str, dict[str, Text]], ...] = (
    (
        "The process",
        "",
        {
            "debug": Text(
                "Log what clients of xDS ask for, too, and where errors of libraries come from.", flag="--debug"
            ),
            "incluster": Text("Use the credentials that a pod has.", flag="--incluster"),
            "kubeconfig": Text(
                "How to reach the API server, when not in a cluster.",
                default="`$KUBECONFIG`, `~/.kube/config`",
                flag="--kubeconfig",
            ),
            "kubernetesClientQPS": Text("Writes to the API server a second.", flag="--kubernetes-client-qps"),
            "kubernetesClientBurst": Text("Writes to the API server at once.", flag="--kubernetes-client-burst"),
            "server": Text("Reserved: must be empty."),
            "featureFlags": Text("Accepted; there are none."),
        },
    ),
    (
        "Objects",
        (
            "Which objects are served, and how. Classes, root namespaces and watched namespaces have flags only: "
            "[cli.md](cli.md)."
        ),
        {
            "ingress-status-address": Text(
                (
                    "Addresses and names for the status of objects, separated by commas, instead of those of the Envoy "
                    "Service."
                ),
                flag="--ingress-status-address",
            ),
            "envoy-service-name": Text(
                "Service whose address is copied into the status of objects.",
                default="`envoy`",
                flag="--envoy-service-name",
            ),
            "envoy-service-namespace": Text(
                "Its namespace.", default="`$CONTOUR_NAMESPACE`, `projectcontour`", flag="--envoy-service-namespace"
            ),
            "disablePermitInsecure": Text(
                "Routes of HTTPProxies are not served in the clear, whatever their `permitInsecure` says."
            ),
            "enableExternalNameService": Text(
                "Services of type ExternalName may be upstreams; those that lead to this machine never are."
            ),
            "gateway.gatewayRef": Text("The Gateway to serve; read, and without effect yet."),
        },
    ),
    (
        "Listeners",
        (
            "Addresses, ports and logs of the two listeners have flags: `--envoy-service-http-address`, "
            "`--envoy-service-http-port`, `--envoy-http-access-log`, and the same with `https`. `--use-proxy-protocol` "
            "expects the PROXY protocol (version 1 or 2) on both."
        ),
        {
            "listener.connection-balancer": Text("`exact`: connections are spread evenly over Envoy's threads."),
            "listener.max-requests-per-connection": Text(
                "The connection is closed after so many requests.", default="no limit"
            ),
            "listener.per-connection-buffer-limit-bytes": Text(
                "What may wait of one connection, in bytes.", default="Envoy's: 1 MiB"
            ),
            "listener.socket-options.tos": Text("Type of service of IPv4 packets, 0 to 255. 0: as the system says."),
            "listener.socket-options.traffic-class": Text(
                "Traffic class of IPv6 packets, 0 to 255. 0: as the system says. Only on listeners with an IPv6 "
                "address."
            ),
            "listener.max-requests-per-io-cycle": Text(
                "Requests of one connection that are begun before others have their turn.", default="no limit"
            ),
            "listener.http2-max-concurrent-streams": Text(
                "Requests of one HTTP/2 connection at once.", default="Envoy's: 1024"
            ),
            "listener.max-connections-per-listener": Text(
                "Connections of each of the two listeners at once; more are closed.", default="no limit"
            ),
            "listener.max-connections-to-accept-per-socket-event": Text(
                "Connections that are accepted before others have their turn.", default="no limit"
            ),
            "default-http-versions": Text(
                "Versions that clients may use: `HTTP/1.1`, `HTTP/2`, in any case.", default="both"
            ),
            "disableAllowChunkedLength": Text(
                "Refuse requests that have both a length and chunks, instead of ignoring the length."
            ),
            "disableMergeSlashes": Text("Leave `//` in paths as it is."),
            "serverHeaderTransformation": Text(
                "The `server` header of answers: `overwrite` it with `envoy`, `append_if_absent`, `pass_through`. What "
                "is unknown counts as `overwrite`."
            ),
            "compression.algorithm": Text(
                "Of answers to clients that ask for it: `gzip`, `brotli`, `zstd`, `disabled`.", default="`gzip`"
            ),
            "network.num-trusted-hops": Text("Proxies in front of Envoy whose `x-forwarded-for` is believed."),
            "network.strip-trailing-host-dot": Text("`host.` is `host`."),
            "network.admin-port": Text(
                "Envoy's administration, to read alone and on 127.0.0.1 alone. 0 leaves the default, -1 switches it off."
            ),
            "runtime-settings": Text(
                "Keys of Envoy's runtime layer and their values, as texts. Keys that other settings decide stay as "
                "these say."
            ),
        },
    ),
    (
        "TLS of clients",
        "",
        {
            "tls.minimum-protocol-version": Text("`1.2` or `1.3`. An HTTPProxy may ask for more.", default="`1.2`"),
            "tls.maximum-protocol-version": Text("`1.2` or `1.3`.", default="`1.3`"),
            "tls.cipher-suites": Text(
                "Of TLS 1.2, by preference; `[A|B]` are equal. Known ones are below.", default="below"
            ),
            "tls.ecdh-curves": Text(
                "By preference: `X25519`, `P-256`, `P-384`, `P-521`, `X25519MLKEM768`, `MLKEM1024`.", default="Envoy's"
            ),
            "tls.fallback-certificate": Text(
                "Secret with the certificate for clients that say no server name, or one that nobody has; for hosts "
                "with `enableFallbackCertificate`."
            ),
            "tls.envoy-client-certificate": Text(
                "Secret with the certificate that Envoy shows to upstreams that it speaks TLS with."
            ),
            "tls.fingerprint.ja3": Text("Take JA3 fingerprints of clients, for logs."),
            "tls.fingerprint.ja4": Text("Take JA4 fingerprints of clients, for logs."),
        },
    ),
    (
        "Timeouts",
        "",
        {
            "timeouts.request-timeout": Text("A whole request must have arrived.", default="none"),
            "timeouts.connection-idle-timeout": Text("A connection without requests is closed."),
            "timeouts.stream-idle-timeout": Text(
                "A request or answer of which nothing moves is ended.", default="Envoy's: 5m"
            ),
            "timeouts.max-connection-duration": Text("A connection is ended, however busy.", default="none"),
            "timeouts.delayed-close-timeout": Text(
                "How long Envoy waits for the client to close a connection that Envoy has done with.",
                default="Envoy's: 1s",
            ),
            "timeouts.connection-shutdown-grace-period": Text(
                "Between telling a client that a connection ends and ending it.", default="Envoy's: 5s"
            ),
            "timeouts.connect-timeout": Text(
                "A connection to an upstream must be there. A duration: it cannot be switched off."
            ),
        },
    ),
    (
        "Access logs",
        "",
        {
            "accesslog-format": Text(
                "`envoy`: lines of text; `json`: one JSON object a line.", flag="--accesslog-format"
            ),
            "accesslog-format-string": Text(
                (
                    "Format of the lines of text, with Envoy's [command "
                    "operators](https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#command-operators); "
                    "it ends in a newline."
                ),
                default="Envoy's own",
            ),
            "json-fields": Text(
                "Fields of the JSON object: a name that is known, or `name=format`. Known are those below, `ts`, "
                "`x_trace_id`, `tls_ja3_fingerprint`, `tls_ja4_fingerprint`, `contour_config_kind`, "
                "`contour_config_namespace`, `contour_config_name`, and Envoy's operators without arguments in lower "
                "case."
            ),
            "accesslog-level": Text(
                "Which answers get a line: `info` all, `error` from 300 or with a problem of Envoy's own, `critical` "
                "from 500 likewise, `disabled` none."
            ),
        },
    ),
    (
        "Clusters",
        "",
        {
            "cluster.dns-lookup-family": Text(
                "Addresses that Envoy asks for, of external names and of the servers of key sets: `auto`, `v4`, `v6`, "
                "`all`."
            ),
            "cluster.max-requests-per-connection": Text(
                "A connection to an upstream is closed after so many requests.", default="no limit"
            ),
            "cluster.per-connection-buffer-limit-bytes": Text(
                "What may wait of one connection to an upstream, in bytes.", default="Envoy's: 1 MiB"
            ),
            "cluster.circuit-breakers.max-connections": Text(
                (
                    "To a Service from one Envoy. This and the next four: for what the Service's annotations leave open; "
                    "0: Envoy's default."
                ),
                default="Envoy's: 1024",
            ),
            "cluster.circuit-breakers.max-pending-requests": Text(
                "Requests that wait for a connection.", default="Envoy's: 1024"
            ),
            "cluster.circuit-breakers.max-requests": Text("Requests at once.", default="Envoy's: 1024"),
            "cluster.circuit-breakers.max-retries": Text("Retries at once.", default="Envoy's: 3"),
            "cluster.circuit-breakers.per-host-max-connections": Text(
                "Connections to one endpoint.", default="no limit"
            ),
            "cluster.upstream-tls.minimum-protocol-version": Text("As for clients.", default="`1.2`"),
            "cluster.upstream-tls.maximum-protocol-version": Text("As for clients.", default="`1.3`"),
            "cluster.upstream-tls.cipher-suites": Text("As for clients.", default="below"),
            "cluster.upstream-tls.ecdh-curves": Text("As for clients.", default="Envoy's"),
        },
    ),
    (
        "Default headers",
        (
            "Set or removed for every service of an HTTPProxy that does not set or remove the same header itself. "
            "Values may have Envoy's and Contour's variables, `%CONTOUR_NAMESPACE%` and so on."
        ),
        {
            "policy.request-headers.set": Text("Header and value."),
            "policy.request-headers.remove": Text("Headers."),
            "policy.response-headers.set": Text("Header and value."),
            "policy.response-headers.remove": Text("Headers."),
            "policy.applyToIngress": Text("Also for Ingress."),
        },
    ),
    (
        "Envoy's pages and Contour's own",
        (
            "`--stats-address` and `--stats-port` say where Envoy tells its readiness, and its statistics unless "
            "`metrics.envoy` says otherwise. Paths of files are those where the process runs that reads them: Envoy "
            "for `metrics.envoy`."
        ),
        {
            "metrics.contour.address": Text(
                "Contour's metrics. Wins over the flag.", default="`0.0.0.0`", flag="--http-address"
            ),
            "metrics.contour.port": Text("Wins over the flag.", default="`8000`", flag="--http-port"),
            "metrics.contour.server-certificate-path": Text(
                "Serve them over TLS, with this certificate; then on another port than health."
            ),
            "metrics.contour.server-key-path": Text("Its private key."),
            "metrics.contour.ca-certificate-path": Text("Clients must show a certificate of this authority."),
            "metrics.envoy.address": Text(
                "Envoy's statistics. Wins over the flag.", default="`0.0.0.0`", flag="--stats-address"
            ),
            "metrics.envoy.port": Text("Wins over the flag.", default="`8002`", flag="--stats-port"),
            "metrics.envoy.server-certificate-path": Text(
                "Serve them over TLS (1.3), with this certificate; then on another port than readiness."
            ),
            "metrics.envoy.server-key-path": Text("Its private key."),
            "metrics.envoy.ca-certificate-path": Text("Clients must show a certificate of this authority."),
            "omEnforcedHealthListener.address": Text(
                "Another place where readiness is told, whose connections count for the limit of the overload manager.",
                default="none",
            ),
            "omEnforcedHealthListener.port": Text("Its port."),
        },
    ),
    (
        "Tracing",
        "Spans of requests, to an OpenTelemetry collector (OTLP over gRPC). Off unless `tracing` is there.",
        {
            "tracing.extensionService": Text("ExtensionService of the collector.", default="required"),
            "tracing.serviceName": Text("Name of Envoy in traces.", default="`contour`"),
            "tracing.includePodDetail": Text(
                "Tags `podName` and `podNamespace`, from `HOSTNAME` and `CONTOUR_NAMESPACE` where Envoy runs.",
                default="true",
            ),
            "tracing.overallSampling": Text(
                "The most requests that are traced, in percent, as a text. 0 is 100.", default="`100`"
            ),
            "tracing.clientSampling": Text(
                "Of requests whose client asks for it, in percent. 0 is 100.", default="`100`"
            ),
            "tracing.randomSampling": Text("Of others, in percent. 0 is 100.", default="`100`"),
            "tracing.maxPathTagLength": Text("Longer paths are cut in tags.", default="`256`"),
            "tracing.customTags[].tagName": Text("Required, each once."),
            "tracing.customTags[].literal": Text("Its value; or"),
            "tracing.customTags[].requestHeaderName": Text("the header that has its value."),
        },
    ),
    (
        "Rate limit service",
        "See [examples/rate-limit](../examples/rate-limit/README.md).",
        {
            "rateLimitService.extensionService": Text("ExtensionService of the service.", default="off"),
            "rateLimitService.domain": Text("Domain of its limits.", default="`contour`"),
            "rateLimitService.failOpen": Text("Requests pass while it does not answer."),
            "rateLimitService.enableXRateLimitHeaders": Text("Answers have `x-ratelimit-…` headers."),
            "rateLimitService.enableResourceExhaustedCode": Text(
                "gRPC calls over the limit end with 8 (RESOURCE_EXHAUSTED) instead of 14 (UNAVAILABLE)."
            ),
            "rateLimitService.defaultGlobalRateLimitPolicy.disabled": Text("No default."),
            "rateLimitService.defaultGlobalRateLimitPolicy.descriptors[].entries[]": Text(
                "For hosts of HTTPProxies without a policy of their own; each entry as in [their "
                "`rateLimitPolicy.global`](kinds/httpproxy.md). Keys may be in lower case below "
                "`requestHeaderValueMatch.headers`."
            ),
        },
    ),
    (
        "External authorization",
        (
            "For all hosts without an authorization of their own. See "
            "[examples/external-authorization](../examples/external-authorization/README.md)."
        ),
        {
            "globalExtAuth.extensionService": Text("ExtensionService of the server.", default="off"),
            "globalExtAuth.serviceType": Text("`grpc` or `http`.", default="`grpc`"),
            "globalExtAuth.httpSettings.pathPrefix": Text(
                "Put before the path of what the server is asked. Keys below `httpSettings` may be in lower case."
            ),
            "globalExtAuth.httpSettings.allowedAuthorizationHeaders[]": Text(
                "Request headers that the server sees: one of `exact`, `prefix`, `suffix`, `contains`, and "
                "`ignoreCase`."
            ),
            "globalExtAuth.httpSettings.allowedUpstreamHeaders[]": Text(
                "Headers of its answer that the upstream sees: likewise."
            ),
            "globalExtAuth.authPolicy.disabled": Text("Off unless a host or route switches it on."),
            "globalExtAuth.authPolicy.context": Text("Keys and values that the server is told; with `grpc` only."),
            "globalExtAuth.responseTimeout": Text("How long Envoy waits for it.", default="the ExtensionService's"),
            "globalExtAuth.failOpen": Text("Requests pass while it does not answer."),
            "globalExtAuth.withRequestBody.maxRequestBytes": Text("It sees so much of the body.", default="`1024`"),
            "globalExtAuth.withRequestBody.allowPartialMessage": Text("Longer bodies are cut, instead of refused."),
            "globalExtAuth.withRequestBody.packAsBytes": Text("Sent as bytes instead of as text."),
        },
    ),
)
