"""The hatchling build hook: compiles the extension module into the wheel."""

from __future__ import annotations

import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ExtensionBuildHook(BuildHookInterface[Any]):
    """Adds sandlock._core to a wheel, or builds it in place for an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        # hatchling loads this file by its path: the package around it is not importable yet.
        sys.path.insert(0, self.root)
        from bindings.build import extension

        extension.build()
        build_data["pure_python"] = False
        build_data["tag"] = f"cp39-abi3-linux_{extension.architecture()}"
