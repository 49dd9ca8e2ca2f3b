"""A notebook in a real kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Callable

import nbformat
import pytest
from jupyter_core.utils import ensure_async, run_sync
from nbclient import NotebookClient

from tests.support.processes import PATIENCE


class Kernel:
    """A kernel with the extension loaded, which runs cells."""

    def __init__(self, client: NotebookClient) -> None:
        self.client = client

    def run(self, code: str) -> list[Any]:
        """Run a cell to its end and return its outputs, those of an error included."""
        cell = nbformat.v4.new_code_cell(code)
        self.client.nb.cells.append(cell)
        self.client.execute_cell(cell, len(self.client.nb.cells) - 1)
        outputs: list[Any] = cell.outputs
        return outputs

    def interrupt(self, code: str, events: Iterable[Callable[[], object]]) -> list[Any]:
        """Run a cell, interrupt the kernel after each of the events, which block, and return the cell's outputs."""

        async def run() -> None:
            running = asyncio.ensure_future(self.client.async_execute_cell(cell, len(self.client.nb.cells) - 1))
            for event in events:
                await asyncio.get_running_loop().run_in_executor(None, event)
                assert self.client.km is not None
                await ensure_async(self.client.km.interrupt_kernel())
            await running

        cell = nbformat.v4.new_code_cell(code)
        self.client.nb.cells.append(cell)
        run_sync(run)()
        outputs: list[Any] = cell.outputs
        return outputs

    def on_update(self, monkeypatch: pytest.MonkeyPatch, react: Callable[[str], None]) -> None:
        """Call a function with each text that is displayed, or takes the place of one, from now on."""
        process: Any = self.client.process_message

        def processed(message: Any, *arguments: Any) -> Any:
            if message["msg_type"] in ("display_data", "update_display_data"):
                react(message["content"]["data"]["text/plain"])
            return process(message, *arguments)

        monkeypatch.setattr(self.client, "process_message", processed)

    def text(self, code: str) -> str:
        """Run a cell and return what it shows, as text."""
        return "".join(shown(output) for output in self.run(code))


def shown(output: Any) -> str:
    if output.output_type == "stream":
        return str(output.text)
    if output.output_type == "error":
        return "\n".join([f"{output.ename}: {output.evalue}", *output.traceback])
    return str(output.data["text/plain"])


@pytest.fixture(scope="module", autouse=True)
def _folders_of_jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's settings out of the kernels, and their histories out of the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp("jupyter")))
        yield


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """Start a kernel, for all tests of a module: it takes a second or two."""
    folder: Path = tmp_path_factory.mktemp("notebook")
    settings: dict[str, Any] = {
        "resources": {"metadata": {"path": str(folder)}},
        "timeout": int(PATIENCE),
        "allow_errors": True,
    }
    client = NotebookClient(nbformat.v4.new_notebook(), kernel_name="python3", **settings)
    with client.setup_kernel(cwd=str(folder)):
        kernel = Kernel(client)
        assert kernel.text("%load_ext sandlock") == ""
        yield kernel
