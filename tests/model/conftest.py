"""Networks read from published files."""

from __future__ import annotations

import pytest
from golden.fill import case, write_published

from napari_emcad import read_checkpoint


@pytest.fixture(scope="session")
def golden_network(tmp_path_factory):
    """Return a function from a golden case's name to its network, read from a file once."""
    networks = {}

    def golden_network(name):
        if name not in networks:
            path = tmp_path_factory.mktemp(name) / "published.pth"
            write_published(path, case(name)["shapes"])
            channels = case(name)["input_channels"]
            networks[name] = read_checkpoint(path, input_channels=channels).network()
            path.unlink()
        return networks[name]

    return golden_network
