"""The contract of a dataset adapter: what a published dataset is, and where its authors put its recordings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from mmtsa_cli.recordings.index import ModalitySpec, Recording


class Adapter(Protocol):
    """A published dataset. An adapter looks for files by name; it downloads, opens and decodes nothing.

    Attributes
    ----------
    name : str
        As the command takes it ("utd-mhad").
    citation : str
        The publication to cite.
    modalities : mapping of str to ModalitySpec
    protocols : mapping of str to mapping
        The published splits, as in `Dataset.protocols`.
    default_protocol : str
    expected_layout : str
        The files that are looked for: shown by the help, and by the error where there are none.
    """

    name: str
    citation: str
    modalities: Mapping[str, ModalitySpec]
    protocols: Mapping[str, Mapping[str, Any]]
    default_protocol: str
    expected_layout: str

    def scan(self, root: Path) -> Iterator[Recording]:
        """Yield the recordings below `root` in a fixed order, their paths absolute; none where it is another dataset.

        Raises
        ------
        DataError
            Files that contradict each other.
        """
