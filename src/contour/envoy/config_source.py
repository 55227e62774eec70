"""Where Envoy gets referenced resources from: the two values of `source` that shared pieces take (§4.2, envoy.md §2)."""

from __future__ import annotations

from contour.envoy import names, pb

# A stream for each resource, to the cluster that the reference's bootstrap names.
CLASSIC = pb.ConfigSource(
    resource_api_version=pb.ApiVersion.V3,
    api_config_source=pb.ApiConfigSource(
        api_type=pb.ApiConfigSource.GRPC,
        transport_api_version=pb.ApiVersion.V3,
        grpc_services=[
            pb.GrpcService(
                envoy_grpc=pb.GrpcService.EnvoyGrpc(
                    cluster_name=names.XDS_CLUSTER, authority=names.authority(names.XDS_CLUSTER)
                )
            )
        ],
    ),
)

# The one stream that the client is on already.
ADS = pb.ConfigSource(resource_api_version=pb.ApiVersion.V3, ads=pb.AggregatedConfigSource())
