"""Access logs (operations.md §7.6): which requests get a line, and what it says."""

from __future__ import annotations

import re
from functools import cache

from contour.envoy import pb
from contour.envoy.options import AccessLog

_FLOOR = {"error": 300, "critical": 500}
_RUNTIME_KEY = "contour.accesslog.filter.status_code"

# Operators that Envoy has in extensions, which a format must name.
_FORMATTERS = {
    "REQ_WITHOUT_QUERY": pb.TypedExtensionConfig(
        name="envoy.formatter.req_without_query", typed_config=pb.pack(pb.ReqWithoutQuery())
    ),
    "METADATA": pb.TypedExtensionConfig(name="envoy.formatter.metadata", typed_config=pb.pack(pb.MetadataFormatter())),
}
_OPERATOR = re.compile(r"%([A-Z0-9_]+)")


def tells_origins(log: AccessLog) -> bool:
    """Whether a line may say what only a route's metadata knows."""
    formats = (log.text, *(text for _, text in log.fields))
    return log.level != "disabled" and any("METADATA(ROUTE" in text for text in formats)


@cache
def file_logs(path: str, log: AccessLog) -> tuple[pb.AccessLog, ...]:
    """The log of a connection manager or TCP proxy; none if logs are switched off."""
    if log.level == "disabled":
        return ()
    message = pb.AccessLog(
        name="envoy.access_loggers.file",
        typed_config=pb.pack(pb.FileAccessLog(path=path, log_format=_format(log))),
    )
    if floor := _FLOOR.get(log.level):
        message.filter.CopyFrom(_at_least(floor))
    return (message,)


def _format(log: AccessLog) -> pb.SubstitutionFormatString | None:
    """None: Envoy's own line."""
    if log.fields:
        return pb.SubstitutionFormatString(
            json_format=pb.struct(dict(log.fields)),
            omit_empty_values=True,
            formatters=_formatters(*(text for _, text in log.fields)),
        )
    if not log.text:
        return None
    return pb.SubstitutionFormatString(
        text_format_source=pb.DataSource(inline_string=log.text), formatters=_formatters(log.text)
    )


def _formatters(*texts: str) -> list[pb.TypedExtensionConfig]:
    used = {name for text in texts for name in _OPERATOR.findall(text)}
    return [formatter for name, formatter in _FORMATTERS.items() if name in used]


def _at_least(status: int) -> pb.AccessLogFilter:
    """An answer of this status or above, or one that Envoy has something to say about."""
    comparison = pb.ComparisonFilter(
        op=pb.ComparisonFilter.GE, value=pb.RuntimeUInt32(default_value=status, runtime_key=_RUNTIME_KEY)
    )
    return pb.AccessLogFilter(
        or_filter=pb.OrFilter(
            filters=[
                pb.AccessLogFilter(status_code_filter=pb.StatusCodeFilter(comparison=comparison)),
                pb.AccessLogFilter(response_flag_filter=pb.ResponseFlagFilter()),
            ]
        )
    )
