"""What a tab of the panel has to offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


class Tab(Protocol):
    """A tab of the panel: its fields with their controllers.

    Attributes
    ----------
    title
        Title of the tab.
    warm_up_module
        Module that is imported in a thread when the tab is shown first, because its import takes
        long; "" for none.
    """

    title: str
    warm_up_module: str

    @property
    def panel(self) -> QWidget:
        """Widget with the fields."""

    def layers_changed(self) -> None:
        """Follow a change of the viewer's layers."""

    def release(self) -> None:
        """Disconnect from viewer and session; the tab is not used again."""
