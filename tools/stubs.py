"""Write type stubs for the generated protobuf modules into `stubs/`, from the descriptors that are installed.

xds-protos ships no `.pyi`; protoc makes them from a descriptor set in a fraction of a second.
Usage: python tools/stubs.py
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from grpc_tools import protoc

import contour.envoy.pb  # loads every descriptor that the program uses
import contour.testing.authorization  # and its tests
import contour.testing.collector  # noqa: F401

OUT = Path(__file__).parent.parent / "stubs"


def main() -> int:
    files: dict[str, FileDescriptor] = {}

    def add(file: FileDescriptor) -> None:
        if file.name not in files:
            for dependency in file.dependencies:
                add(dependency)
            files[file.name] = file

    for module in list(sys.modules.values()):
        descriptor = getattr(module, "DESCRIPTOR", None)
        if isinstance(descriptor, FileDescriptor):
            add(descriptor)
    descriptors = descriptor_pb2.FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(descriptors.file.add())
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    own = [name for name in files if not name.startswith("google/protobuf/")]
    with tempfile.NamedTemporaryFile(suffix=".pb") as f:
        f.write(descriptors.SerializeToString())
        f.flush()
        plugin = f"--plugin=protoc-gen-mypy={Path(sys.executable).parent / 'protoc-gen-mypy'}"
        status: int = protoc.main(["protoc", plugin, f"--descriptor_set_in={f.name}", f"--mypy_out=quiet:{OUT}", *own])
    print(f"stubs: {len(own)} files")
    return status


if __name__ == "__main__":
    sys.exit(main())
