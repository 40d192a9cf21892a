"""A question to the user that blocks nothing: jobs go on while it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMessageBox, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def ask(
    parent: QWidget,
    question: str,
    details: str,
    answers: Mapping[str, Callable[[], object]],
    default: str = "",
) -> QMessageBox:
    """Open a question, and return its window.

    Parameters
    ----------
    parent
        Widget in whose window it is asked.
    question, details
        The question, and what the answers do.
    answers
        Function to call by the title of its button; the last one is the safe answer, which closing
        the question gives as well.
    default
        Title of the button that Enter presses; "" for the last one.
    """
    box = QMessageBox(QMessageBox.Icon.Question, "EMCAD", question, parent=parent.window())
    box.setInformativeText(details)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    buttons = {
        box.addButton(title, QMessageBox.ButtonRole.AcceptRole): answer
        for title, answer in answers.items()
    }
    safe = list(buttons)[-1]
    box.setDefaultButton(next((one for one in buttons if one.text() == default), safe))
    box.setEscapeButton(safe)
    box.buttonClicked.connect(lambda button: buttons[button]())
    box.setModal(False)
    box.show()
    return box
