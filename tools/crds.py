"""Writes the CRDs that we ship, `src/contour/api/crds/*.yaml` and all of them for an installation, from the tables of
httpproxy.md §1 and operations.md §12.2.

    python tools/crds.py            write them
    python tools/crds.py --check    exit 1 if they are not what this file says

Types that several fields share (header conditions, upstream validation ...) are written once here and spelled out at
each place in the YAML, as a structural schema has no references. The file is long because it is one table, read beside
the specification's.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DIRECTORY = ROOT / "src" / "contour" / "api" / "crds"
INSTALLED = ROOT / "examples" / "contour" / "01-crds.yaml"

Schema = dict[str, Any]

HEPTIO = "contour.heptio.com"

# --- patterns (httpproxy.md §1) -----------------------------------------------------------------------------------

_NUMBER = r"\d*(\.\d*)?"
_DURATION = "(" + "|".join(f"({_NUMBER}{unit})" for unit in ("h", "m", "s", "ms", "us", "µs", "ns")) + ")+"
P_DUR = f"^({_DURATION})$"
P_DUR_INF = f"^({_DURATION}|infinity|infinite)$"
P_DUR_0 = f"^({_DURATION}|0)$"
P_HOST = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
P_FQDN = r"^(\*\.)?" + P_HOST[1:]
P_CORS = r"^[a-zA-Z0-9!#$%&'*+.^_`|~-]+$"
_CONTROLS = r"\x7f" + "".join(f"\\x{code:02x}" for code in range(0x20))
P_COOKIE_NAME = r"""^[^()<>@,;:\\"\/[\]?={} \t""" + _CONTROLS + "]+$"
P_COOKIE_VALUE = "^[^;" + _CONTROLS + "]+$"
P_CONDITION_TYPE = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
)
P_CONDITION_REASON = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"


# --- words of the schema language ---------------------------------------------------------------------------------


def text(about: str = "", **rules: Any) -> Schema:
    return _described(about, {"type": "string", **rules})


def name(about: str = "", **rules: Any) -> Schema:
    """A string that may not be empty."""
    return text(about, minLength=1, **rules)


def flag(about: str = "", **rules: Any) -> Schema:
    return _described(about, {"type": "boolean", **rules})


def integer(about: str = "", **rules: Any) -> Schema:
    return _described(about, {"type": "integer", **rules})


def int32(about: str = "", **rules: Any) -> Schema:
    return integer(about, format="int32", **rules)


def int64(about: str = "", **rules: Any) -> Schema:
    return integer(about, format="int64", **rules)


def uint32(about: str = "", **rules: Any) -> Schema:
    return integer(about, format="int32", **{"minimum": 0, **rules})


def array(items: Schema, about: str = "", **rules: Any) -> Schema:
    return _described(about, {"type": "array", "items": items, **rules})


def struct(about: str = "", required: str = "", rule: tuple[str, str] | None = None, /, **fields: Schema) -> Schema:
    """An object; `required` names fields, `rule` is a CEL rule and its message. `global_` is the field `global`."""
    schema: Schema = {"type": "object"}
    if fields:
        schema["properties"] = {key.rstrip("_"): field for key, field in sorted(fields.items())}
    if required:
        schema["required"] = sorted(required.split())
    if rule:
        schema["x-kubernetes-validations"] = [{"message": rule[1], "rule": rule[0]}]
    return _described(about, schema)


def _described(about: str, schema: Schema) -> Schema:
    return {"description": about, **schema} if about else schema


def duration(about: str, pattern: str = P_DUR_INF) -> Schema:
    also = {P_DUR_INF: ", or infinity", P_DUR_0: ", or 0"}.get(pattern, "")
    return text(f"{about} A duration such as 10s or 1m30s{also}.", pattern=pattern)


# --- shared types -------------------------------------------------------------------------------------------------

HEADER_CONDITION = struct(
    "Test of one request header.",
    "name",
    name=name("Header name, in any case."),
    present=flag("The header is there."),
    notpresent=flag("The header is not there."),
    contains=text("The value has this in it."),
    notcontains=text("The value does not have this in it."),
    exact=text("The value is this."),
    notexact=text("The value is not this."),
    regex=text("The whole value matches this RE2 expression."),
    ignoreCase=flag("Letter case does not count; not for regex."),
    treatMissingAsEmpty=flag("A missing header counts as empty; for notcontains and notexact."),
)
QUERY_CONDITION = struct(
    "Test of one query parameter.",
    "name",
    name=text("Parameter name, in this case."),
    exact=text("The value is this."),
    prefix=text("The value begins with this."),
    suffix=text("The value ends with this."),
    regex=text("The whole value matches this RE2 expression."),
    contains=text("The value has this in it."),
    ignoreCase=flag("Letter case does not count; not for regex and present."),
    present=flag("The parameter is there."),
)
CONDITIONS = array(
    struct(
        prefix=text("Path prefix, beginning with /."),
        exact=text("The whole path, beginning with /; not in includes."),
        regex=text("RE2 expression for the whole path, beginning with /; not in includes."),
        header=HEADER_CONDITION,
        queryParameter=QUERY_CONDITION,
    ),
    "All of them must hold.",
)
UPSTREAM_VALIDATION = struct(
    "How the certificate of the backend is checked.",
    "caSecret subjectName",
    (
        "has(self.subjectNames) ? self.subjectNames[0] == self.subjectName : true",
        "subjectNames[0] must equal subjectName if set",
    ),
    caSecret=name("Secret with ca.crt: name or namespace/name.", maxLength=317),
    subjectName=name("Name that the certificate must have; deprecated, see subjectNames.", maxLength=250),
    subjectNames=array(text(), "Names of which the certificate must have one.", minItems=1, maxItems=8),
)
HEADER_VALUES = array(struct("", "name value", name=name("Header name."), value=name("Header value.")))
HEADERS_POLICY = struct(
    "Changes to headers.",
    set={"description": "Headers that are added or overwritten.", **HEADER_VALUES},
    remove=array(text(), "Headers that are taken away."),
)
COOKIE_REWRITES = array(
    struct(
        "",
        "name",
        name=name("Cookie whose attributes are rewritten.", maxLength=4096, pattern=P_COOKIE_NAME),
        pathRewrite=struct(
            "Changes the Path attribute.",
            "value",
            value=name("New path.", maxLength=4096, pattern=P_COOKIE_VALUE),
        ),
        domainRewrite=struct(
            "Changes the Domain attribute.",
            "value",
            value=name("New domain, a host name in lower case.", maxLength=4096, pattern=P_HOST),
        ),
        secure=flag("Sets or takes away the Secure attribute."),
        sameSite=text("Changes the SameSite attribute.", enum=["Strict", "Lax", "None"]),
    ),
    "Changes to cookies that the backend sets.",
)
IP_FILTERS = array(
    struct(
        "",
        "source cidr",
        source=text(
            "Peer is the address of the connection, Remote the one that the client had.", enum=["Peer", "Remote"]
        ),
        cidr=text("Address or CIDR range."),
    )
)
IP_ALLOW = {"description": "Only these addresses get in.", **IP_FILTERS}
IP_DENY = {"description": "These addresses do not get in.", **IP_FILTERS}
RATE_LIMIT = struct(
    "Limits of the rate of requests.",
    local=struct(
        "A limit that each Envoy keeps by itself.",
        "requests unit",
        requests=uint32("Requests in each unit of time.", minimum=1),
        unit=text("Unit of time.", enum=["second", "minute", "hour"]),
        burst=uint32("Requests above the limit that may come at once."),
        responseStatusCode=uint32("Status of the answer beyond the limit; 429 if absent.", minimum=400, maximum=599),
        responseHeadersToAdd={"description": "Headers of the answer beyond the limit.", **HEADER_VALUES},
    ),
    global_=struct(
        "What is sent to the rate limit service.",
        disabled=flag("Switches off what the virtual host or the configuration says."),
        descriptors=array(
            struct(
                "",
                "entries",
                entries=array(
                    struct(
                        genericKey=struct(
                            "A constant.",
                            "value",
                            key=text("Key; generic_key if absent."),
                            value=name("Value."),
                        ),
                        requestHeader=struct(
                            "The value of a header.",
                            "headerName descriptorKey",
                            headerName=name("Header whose value is sent."),
                            descriptorKey=name("Key."),
                        ),
                        requestHeaderValueMatch=struct(
                            "A constant, sent if headers match.",
                            "value",
                            headers=array(HEADER_CONDITION, "Conditions, all of which count.", minItems=1),
                            expectMatch=flag("Sent if the conditions hold, or if they do not.", default=True),
                            value=name("Value; the key is header_match."),
                        ),
                        remoteAddress=struct("The address of the client."),
                    ),
                    "Parts of the descriptor, each with exactly one member.",
                    minItems=1,
                ),
            ),
            "Descriptors, each a list of key and value.",
            minItems=1,
        ),
    ),
)
TIMEOUT_POLICY = struct(
    "Time limits.",
    response=duration("Until the whole answer is there."),
    idle=duration("Without anything sent on the request."),
    idleConnection=duration("Without requests on a connection to the backend."),
)
LOAD_BALANCER_POLICY = struct(
    "How a backend is chosen.",
    strategy=text("Random, RoundRobin, WeightedLeastRequest, Cookie or RequestHash."),
    requestHashPolicies=array(
        struct(
            terminal=flag("If this one gives a hash, the following ones do not count."),
            headerHashOptions=struct("Hash of a header.", "headerName", headerName=name("Header name.")),
            queryParameterHashOptions=struct(
                "Hash of a query parameter.", "parameterName", parameterName=name("Parameter name.")
            ),
            hashSourceIP=flag("Hash of the client's address."),
        ),
        "What RequestHash is made from, in order.",
    ),
)
AUTHORIZATION_POLICY = struct(
    "Whether and how requests are authorized.",
    disabled=flag("No authorization."),
    context={
        "description": "Passed to the authorization server with each check.",
        "type": "object",
        "additionalProperties": {"type": "string"},
    },
)
ALLOWED_HEADERS = array(
    struct(
        "",
        "",
        (
            " + ".join(f"(has(self.{field}) ? 1 : 0)" for field in ("exact", "prefix", "suffix", "contains")) + " == 1",
            "only one of prefix, suffix, exact, and contains should be set in the allowedHeader",
        ),
        exact=text("The name is this."),
        prefix=text("The name begins with this."),
        suffix=text("The name ends with this."),
        contains=text("The name has this in it."),
        ignoreCase=flag("Letter case does not count."),
    )
)
AUTHORIZATION_SERVER = struct(
    "External authorization of requests.",
    "",
    (
        "!has(self.httpSettings) || self.serviceType == 'http'",
        "httpSettings can only be set when serviceType is 'http'",
    ),
    extensionRef=struct(
        "ExtensionService of the authorization server.",
        apiVersion=name("projectcontour.io/v1alpha1, also if absent."),
        namespace=name("Namespace; that of the proxy if absent."),
        name=name("Name."),
    ),
    serviceType=text("Protocol of the authorization server.", enum=["http", "grpc"], default="grpc"),
    httpSettings=struct(
        "For servers that speak HTTP.",
        pathPrefix=text("Put before the path of a check."),
        allowedAuthorizationHeaders={"description": "Request headers that are sent.", **ALLOWED_HEADERS},
        allowedUpstreamHeaders={"description": "Headers of the answer that the backend gets.", **ALLOWED_HEADERS},
    ),
    authPolicy=AUTHORIZATION_POLICY,
    responseTimeout=duration("Longest wait for an answer."),
    failOpen=flag("Let requests in when the server does not answer."),
    withRequestBody=struct(
        "Sends the request's body too.",
        maxRequestBytes=uint32("Largest body.", minimum=1, default=1024),
        allowPartialMessage=flag("Send the beginning of a larger body."),
        packAsBytes=flag("Send bytes rather than text."),
    ),
)
SERVICES = array(
    struct(
        "",
        "name port",
        name=text("Service in the namespace of this object."),
        port=integer("Port of the Service.", minimum=1, maximum=65536, exclusiveMaximum=True),
        healthPort=integer("Port of the Service for health checks.", minimum=1, maximum=65535),
        protocol=text("Protocol of the backend; plain HTTP/1.1 if absent.", enum=["h2", "h2c", "tls"]),
        weight=int64("Share of the requests.", minimum=0),
        validation=UPSTREAM_VALIDATION,
        mirror=flag("Gets copies of the requests; its answers are thrown away."),
        requestHeadersPolicy=HEADERS_POLICY,
        responseHeadersPolicy=HEADERS_POLICY,
        cookieRewritePolicies=COOKIE_REWRITES,
        slowStartPolicy=struct(
            "A new endpoint gets its share little by little.",
            "window",
            window=duration("How long.", P_DUR),
            aggression=text("How fast; a decimal number.", pattern=r"^([0-9]+([.][0-9]+)?|[.][0-9]+)$", default="1.0"),
            minWeightPercent=uint32("Share at the start.", minimum=0, maximum=100, default=10),
        ),
    ),
    "Where requests go.",
)

# --- HTTPProxy (§1.1 to §1.6) -------------------------------------------------------------------------------------

VIRTUALHOST = struct(
    "Makes the object a root: the host that it describes.",
    "fqdn",
    fqdn=name("Host name in lower case, or *. and a host name.", pattern=P_FQDN),
    tls=struct(
        "TLS of the host.",
        secretName=text("Secret with the certificate: name or namespace/name."),
        minimumProtocolVersion=text("1.2 or 1.3."),
        maximumProtocolVersion=text("1.2 or 1.3."),
        passthrough=flag("TLS ends at the backend; needs tcpproxy."),
        clientValidation=struct(
            "Certificates of clients.",
            caSecret=name("Secret with ca.crt: name or namespace/name."),
            skipClientCertValidation=flag("Ask for a certificate, but take any."),
            forwardClientCertificate=struct(
                "What the backend learns of the certificate, in x-forwarded-client-cert.",
                subject=flag("Subject."),
                cert=flag("Certificate."),
                chain=flag("Chain."),
                dns=flag("DNS names."),
                uri=flag("URI."),
            ),
            crlSecret=name("Secret with crl.pem: name or namespace/name."),
            crlOnlyVerifyLeafCert=flag("Look for the leaf only in the revocation list."),
            optionalClientCertificate=flag("Clients without a certificate get in too."),
        ),
        enableFallbackCertificate=flag("Serve clients that do not say which host they want."),
    ),
    authorization=AUTHORIZATION_SERVER,
    corsPolicy=struct(
        "Cross-origin requests.",
        "allowOrigin allowMethods",
        allowCredentials=flag("Allow credentials."),
        allowOrigin=array(text(), "Origins: *, an origin, or an RE2 expression.", minItems=1),
        allowMethods=array(text("HTTP method.", pattern=P_CORS), "Methods.", minItems=1),
        allowHeaders=array(text("Header name.", pattern=P_CORS), "Request headers.", minItems=1),
        exposeHeaders=array(text("Header name.", pattern=P_CORS), "Headers that scripts may read.", minItems=1),
        maxAge=duration("How long answers to preflights hold.", P_DUR_0),
        allowPrivateNetwork=flag("Allow requests from public into private networks."),
    ),
    rateLimitPolicy=RATE_LIMIT,
    jwtProviders=array(
        struct(
            "",
            "name",
            (
                "(has(self.remoteJWKS) && !has(self.localJWKS)) || (!has(self.remoteJWKS) && has(self.localJWKS))",
                "exactly one of remoteJWKS or localJWKS must be set",
            ),
            name=name("Name, unique in the host."),
            default=flag("For all routes that do not say otherwise."),
            issuer=text("Issuer that tokens must have."),
            audiences=array(text(), "Audiences of which tokens must have one."),
            remoteJWKS=struct(
                "Keys at a URL.",
                "uri",
                uri=name("URL, http or https."),
                validation=UPSTREAM_VALIDATION,
                timeout=duration("Longest wait; 1s if absent.", P_DUR),
                cacheDuration=duration("How long keys are kept; 5m if absent.", P_DUR),
                dnsLookupFamily=text("Addresses that are looked up.", enum=["auto", "v4", "v6"]),
            ),
            localJWKS=struct(
                "Keys in a Secret of this namespace.", "secretName key", secretName=name("Secret."), key=name("Key.")
            ),
            forwardJWT=flag("The backend gets the token too."),
        ),
        "Who may issue tokens.",
    ),
    ipAllowPolicy=IP_ALLOW,
    ipDenyPolicy=IP_DENY,
)
REDIRECT_CODES = [301, 302, 303, 307, 308]
RETRY_ON = [
    *("5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited"),
    *("retriable-4xx", "refused-stream", "retriable-status-codes", "retriable-headers", "http3-post-connect-failure"),
    *("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"),
]
ROUTES = array(
    struct(
        conditions=CONDITIONS,
        services=SERVICES,
        enableWebsockets=flag("Allow upgrades to WebSocket."),
        permitInsecure=flag("Serve over plain HTTP too if the host has TLS."),
        authPolicy=AUTHORIZATION_POLICY,
        timeoutPolicy=TIMEOUT_POLICY,
        retryPolicy=struct(
            "Requests that fail are sent again.",
            count=int64("How often; -1 is never.", minimum=-1, default=1),
            perTryTimeout=duration("Longest wait for each."),
            retryOn=array(text(enum=RETRY_ON), "When."),
            retriableStatusCodes=array(uint32(), "Status codes for retriable-status-codes."),
        ),
        healthCheckPolicy=struct(
            "Active health checks.",
            "path",
            path=text("Path of the request."),
            host=text("Host of the request; contour-envoy-healthcheck if absent."),
            intervalSeconds=int64("Time between checks; 10 if absent."),
            timeoutSeconds=int64("Longest wait; 2 if absent."),
            unhealthyThresholdCount=int64("Failures until unhealthy; 3 if absent.", minimum=0),
            healthyThresholdCount=int64("Successes until healthy; 2 if absent.", minimum=0),
            expectedStatuses=array(
                struct(
                    "",
                    "start end",
                    start=int64("First.", minimum=100, maximum=599),
                    end=int64("After the last.", minimum=101, maximum=600),
                ),
                "Ranges of status codes that count as success; 200 if absent.",
            ),
        ),
        loadBalancerPolicy=LOAD_BALANCER_POLICY,
        pathRewritePolicy=struct(
            "Changes the path before the request goes to the backend.",
            replacePrefix=array(
                struct(
                    "",
                    "replacement",
                    prefix=name("Prefix that is replaced; that of the route if absent."),
                    replacement=name("What stands there instead."),
                ),
                "Replacements of the prefix.",
            ),
        ),
        requestHeadersPolicy=HEADERS_POLICY,
        responseHeadersPolicy=HEADERS_POLICY,
        cookieRewritePolicies=COOKIE_REWRITES,
        rateLimitPolicy=RATE_LIMIT,
        requestRedirectPolicy=struct(
            "Answers with a redirect.",
            scheme=text("Scheme of the target.", enum=["http", "https"]),
            hostname=name("Host of the target, in lower case.", maxLength=253, pattern=P_HOST),
            port=int32("Port of the target.", minimum=1, maximum=65535),
            statusCode=integer("Status.", enum=REDIRECT_CODES, default=302),
            path=text("Path of the target, beginning with /; not with prefix.", pattern=r"^\/.*$"),
            prefix=text("Takes the place of the prefix, beginning with /; not with path.", pattern=r"^\/.*$"),
        ),
        directResponsePolicy=struct(
            "Answers without a backend.",
            "statusCode",
            statusCode=integer("Status.", minimum=200, maximum=599),
            body=text("Body."),
        ),
        internalRedirectPolicy=struct(
            "Follows redirects of the backend.",
            maxInternalRedirects=uint32("How many for one request; 1 if absent."),
            redirectResponseCodes=array(
                integer(format="int32", enum=REDIRECT_CODES), "Status codes that are followed; 302 if absent."
            ),
            allowCrossSchemeRedirect=text(
                "Between http and https.", enum=["Always", "Never", "SafeOnly"], default="Never"
            ),
            denyRepeatedRouteRedirect=flag("Never come to one route twice."),
        ),
        jwtVerificationPolicy=struct(
            "Tokens that requests must have.",
            require=text("Name of a provider."),
            disabled=flag("None, even if a provider is the default."),
        ),
        ipAllowPolicy=IP_ALLOW,
        ipDenyPolicy=IP_DENY,
    ),
    "HTTP routes.",
)
TCP_INCLUDE = struct("", "name", name=text("Name."), namespace=text("Namespace; that of this object if absent."))
TCPPROXY = struct(
    "Passes connections on as they are.",
    loadBalancerPolicy=LOAD_BALANCER_POLICY,
    services=SERVICES,
    include={"description": "Another HTTPProxy that has the services.", **TCP_INCLUDE},
    includes={"description": "Deprecated spelling of include.", **TCP_INCLUDE},
    healthCheckPolicy=struct(
        "Active health checks.",
        intervalSeconds=int64("Time between checks; 10 if absent."),
        timeoutSeconds=int64("Longest wait; 2 if absent."),
        unhealthyThresholdCount=uint32("Failures until unhealthy; 3 if absent."),
        healthyThresholdCount=uint32("Successes until healthy; 2 if absent."),
    ),
)
HTTPPROXY_SPEC = struct(
    "",
    virtualhost=VIRTUALHOST,
    routes=ROUTES,
    tcpproxy=TCPPROXY,
    includes=array(
        struct(
            "",
            "name",
            name=name("Name."),
            namespace=text("Namespace; that of this object if absent."),
            conditions=CONDITIONS,
        ),
        "Other HTTPProxies whose routes become part of this one.",
    ),
    ingressClassName=text("Class; the annotations for it win."),
)

# --- status (§1.8) ------------------------------------------------------------------------------------------------

_TYPE = text("Type.", maxLength=316, pattern=P_CONDITION_TYPE)
_STATUS = text("Status.", enum=["True", "False", "Unknown"])
_REASON = name("Reason, one word.", maxLength=1024, pattern=P_CONDITION_REASON)
_MESSAGE = text("Message for people.", maxLength=32768)
_SUBCONDITIONS = array(
    struct("", "type status reason message", type=_TYPE, status=_STATUS, reason=_REASON, message=_MESSAGE)
)
CONDITIONS_STATUS = array(
    struct(
        "",
        "type status reason message lastTransitionTime",
        type=_TYPE,
        status=_STATUS,
        reason=_REASON,
        message=_MESSAGE,
        lastTransitionTime=text("When the condition was written.", format="date-time"),
        observedGeneration=int64("Generation that the condition is about.", minimum=0),
        errors={"description": "What is wrong.", **_SUBCONDITIONS},
        warnings={"description": "What has no effect.", **_SUBCONDITIONS},
    ),
    "Conditions; the controller writes the type Valid.",
    **{"x-kubernetes-list-map-keys": ["type"], "x-kubernetes-list-type": "map"},
)
_ATOMIC = {"x-kubernetes-list-type": "atomic"}
HTTPPROXY_STATUS = struct(
    "",
    currentStatus=text("valid, invalid or orphaned."),
    description=text("The same in a sentence."),
    loadBalancer=struct(
        "Where the host can be reached.",
        ingress=array(
            struct(
                ip=text("Address."),
                hostname=text("Host name."),
                ipMode=text("How the address is used."),
                ports=array(
                    struct(
                        "",
                        "port protocol",
                        port=int32("Port."),
                        protocol=text("Protocol."),
                        error=text("Problem of the port.", maxLength=316, pattern=P_CONDITION_TYPE),
                    ),
                    "Ports.",
                    **_ATOMIC,
                ),
            ),
            "Addresses.",
            **_ATOMIC,
        ),
    ),
    conditions=CONDITIONS_STATUS,
)

# --- TLSCertificateDelegation (§1.9) ------------------------------------------------------------------------------

DELEGATION_SPEC = struct(
    "",
    "delegations",
    delegations=array(
        struct(
            "",
            "secretName targetNamespaces",
            secretName=text("Secret of this namespace."),
            targetNamespaces=array(text(), 'Namespaces that may use it; "*" alone means all.'),
        ),
        "Secrets that others may use.",
    ),
)

# --- ExtensionService (§1.10) -------------------------------------------------------------------------------------

EXTENSION_SPEC = struct(
    "",
    "services",
    services=array(
        struct(
            "",
            "name port",
            name=text("Service of this namespace."),
            port=integer("Port of the Service.", minimum=1, maximum=65536, exclusiveMaximum=True),
            weight=uint32("Share of this Service; equal shares if all are 0."),
        ),
        "Where the service runs.",
        minItems=1,
    ),
    validation=UPSTREAM_VALIDATION,
    protocol=text("Protocol of the service; h2 if absent.", enum=["http/1.1", "h2", "h2c"]),
    loadBalancerPolicy=LOAD_BALANCER_POLICY,
    timeoutPolicy=TIMEOUT_POLICY,
    protocolVersion=text("Version of Envoy's API that the service speaks.", enum=["v3"]),
    circuitBreakerPolicy=struct(
        "Limits, instead of those of the configuration.",
        maxConnections=uint32("Connections."),
        maxPendingRequests=uint32("Requests that wait for a connection."),
        maxRequests=uint32("Requests at a time."),
        maxRetries=uint32("Retries at a time."),
        perHostMaxConnections=uint32("Connections to one endpoint."),
    ),
)


# --- contour.heptio.com/v1beta1 (operations.md §12.2) ----------------------------------------------------------------

# What the status tells in its own words (ports, weights, wildcards) is not refused here: an old manifest must get there.
DELEGATE = struct("", "name", name=text("Name."), namespace=text("Namespace; that of this object if absent."))
INGRESSROUTE_SERVICES = array(
    struct(
        "",
        "name port",
        name=text("Service of this namespace."),
        port=int64("Port of the Service, from 1 to 65535."),
        weight=int64("Share of the requests; all zero or absent: equal shares."),
        strategy=text("RoundRobin, WeightedLeastRequest, Random or Cookie."),
        healthCheck=struct(
            "How Envoy finds out whether an endpoint is well.",
            "path",
            path=text("Path of the request."),
            host=text("Host of the request; contour-envoy-healthcheck if absent."),
            intervalSeconds=int64("Seconds between checks; 10 if absent."),
            timeoutSeconds=int64("Seconds until a check has failed; 2 if absent."),
            unhealthyThresholdCount=uint32("Failures that make an endpoint unhealthy; 3 if absent."),
            healthyThresholdCount=uint32("Successes that make an endpoint healthy; 2 if absent."),
        ),
        validation=struct(
            "How the certificate of the backend is checked; for Services annotated with upstream-protocol.tls.",
            "caSecret subjectName",
            caSecret=text("Secret of this namespace with ca.crt."),
            subjectName=text("Name that the certificate must have."),
        ),
    ),
    "Where requests go.",
)
INGRESSROUTE_SPEC = struct(
    "",
    "",
    virtualhost=struct(
        "Makes this object a root.",
        "",
        fqdn=text("Host name; required, without wildcards."),
        tls=struct(
            "TLS for this host.",
            "",
            secretName=text("Secret with certificate and key: name or namespace/name."),
            minimumProtocolVersion=text("1.2 or 1.3; older versions are not served any more."),
            passthrough=flag("TLS is for the backend of tcpproxy to terminate; without secretName."),
        ),
    ),
    routes=array(
        struct(
            "",
            "match",
            match=text("Path prefix; with the prefix of the delegating route in it."),
            services=INGRESSROUTE_SERVICES,
            delegate={"description": "The IngressRoute that has the routes below this prefix.", **DELEGATE},
            enableWebsockets=flag("Requests may become WebSockets."),
            permitInsecure=flag("Answer plain requests, too, instead of redirecting them to https."),
            prefixRewrite=text("What the prefix is replaced with."),
            timeoutPolicy=struct("", "", request=text("Time for the whole response; infinity for no limit.")),
            retryPolicy=struct(
                "Retries of answers 5xx.",
                "",
                count=uint32("Number of retries; 1 if absent."),
                perTryTimeout=text("Time for each try."),
            ),
        ),
        "Routes of this host, or below the prefix that was delegated.",
    ),
    tcpproxy=struct(
        "Forwards connections of this host, with TLS.",
        "",
        services=INGRESSROUTE_SERVICES,
        delegate={"description": "The IngressRoute that has the services.", **DELEGATE},
    ),
)
INGRESSROUTE_STATUS = struct("", "", currentStatus=text("valid, invalid or orphaned."), description=text("Why."))


# --- the definitions ----------------------------------------------------------------------------------------------


def definition(
    kind: str,
    plural: str,
    short: list[str],
    about: str,
    *,
    spec: Schema,
    status: Schema | None,
    columns: tuple[tuple[str, str], ...] = (),
    group: str = "projectcontour.io",
    version_name: str = "v1",
    required: str = "metadata spec",
) -> Schema:
    """A CustomResourceDefinition; without `status` there is no such member and no subresource."""
    version: Schema = {
        "name": version_name,
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {
                "description": about,
                "type": "object",
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"type": "object"},
                    "spec": spec,
                },
                "required": required.split(),
            }
        },
    }
    if status is not None:
        version["schema"]["openAPIV3Schema"]["properties"]["status"] = status
        version["subresources"] = {"status": {}}
    if columns:
        version["additionalPrinterColumns"] = [
            {"name": title, "type": "string", "jsonPath": path} for title, path in columns
        ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": short,
            },
            "versions": [version],
        },
    }


DEFINITIONS = [
    definition(
        "HTTPProxy",
        "httpproxies",
        ["proxy", "proxies"],
        "Routes of a host, or a part of them that others include.",
        spec=HTTPPROXY_SPEC,
        status={
            **HTTPPROXY_STATUS,
            "default": {"currentStatus": "NotReconciled", "description": "Waiting for controller"},
        },
        columns=(
            ("FQDN", ".spec.virtualhost.fqdn"),
            ("TLS Secret", ".spec.virtualhost.tls.secretName"),
            ("Status", ".status.currentStatus"),
            ("Status Description", ".status.description"),
        ),
    ),
    definition(
        "TLSCertificateDelegation",
        "tlscertificatedelegations",
        ["tlscerts"],
        "Lets other namespaces use Secrets of this one.",
        spec=DELEGATION_SPEC,
        status=struct("", conditions=CONDITIONS_STATUS),
    ),
    definition(
        "ExtensionService",
        "extensionservices",
        ["extensionservice", "extensionservices"],
        "A service that Envoy itself asks: for authorization, rate limits, tracing.",
        spec=EXTENSION_SPEC,
        status=struct("", conditions=CONDITIONS_STATUS),
        version_name="v1alpha1",
        required="metadata",
    ),
    definition(
        "IngressRoute",
        "ingressroutes",
        [],
        "What HTTPProxy was before: routes of a host, or a part of them that others delegate to.",
        spec=INGRESSROUTE_SPEC,
        status=INGRESSROUTE_STATUS,
        columns=(
            ("FQDN", ".spec.virtualhost.fqdn"),
            ("TLS Secret", ".spec.virtualhost.tls.secretName"),
            ("First route", ".spec.routes[0].match"),
            ("Status", ".status.currentStatus"),
            ("Status Description", ".status.description"),
        ),
        group=HEPTIO,
        version_name="v1beta1",
    ),
    definition(
        "TLSCertificateDelegation",
        "tlscertificatedelegations",
        [],
        "Lets other namespaces use Secrets of this one; as the kind of projectcontour.io.",
        spec=DELEGATION_SPEC,
        status=None,
        group=HEPTIO,
        version_name="v1beta1",
    ),
]


class _Dumper(yaml.SafeDumper):
    """No anchors, as the shared types are spelled out."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's
        return True


def render(crd: Schema) -> str:
    return "# Written by tools/crds.py: change it there.\n" + yaml.dump(
        crd, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=4096
    )


def main(arguments: list[str]) -> int:
    stale = []
    texts = {}
    for crd in DEFINITIONS:
        group, plural = crd["spec"]["group"], crd["spec"]["names"]["plural"]
        texts[DIRECTORY / (f"{plural}.{group}.yaml" if group == HEPTIO else f"{plural}.yaml")] = render(crd)
    texts[INSTALLED] = "---\n".join(texts.values())
    for path, text_ in texts.items():
        if "--check" in arguments:
            if not path.exists() or path.read_text(encoding="utf-8") != text_:
                stale.append(path.name)
        else:
            path.write_text(text_, encoding="utf-8")
            print(path)
    if stale:
        print(f"not up to date, run tools/crds.py: {', '.join(stale)}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
