"""Offers to continue a training that was interrupted by closing the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_emcad.plugin.widgets.helpers import row, text

if TYPE_CHECKING:
    from napari_emcad.interactive.session import Session
    from napari_emcad.plugin.teach.train_form import TrainForm
    from napari_emcad.plugin.teach.training_controller import TrainingController


class ContinueStrip(QWidget):
    """Offers to train the steps that are left; hidden while there are none.

    Parameters
    ----------
    session
        Session of the viewer, which knows the steps.
    training
        Starts the training.
    form
        The training form, which gets the number of steps.
    """

    def __init__(self, session: Session, training: TrainingController, form: TrainForm) -> None:
        super().__init__()
        self._session, self._training, self._form = session, training, form
        self._text = text()
        self._continue, self._dismiss = QPushButton("Continue"), QPushButton("Dismiss")
        self._continue.setToolTip("Trains the steps that are left, with the settings below")
        self._dismiss.setToolTip("Leaves the model as it is, in the list of versions")
        self._continue.clicked.connect(self._train)
        self._dismiss.clicked.connect(self._end)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 0)
        column.addWidget(self._text)
        column.addWidget(row(self._continue, self._dismiss))
        training.started.connect(self._end)
        session.versions.changed.connect(self.show_state)
        self.show_state()

    def show_state(self) -> None:
        """Show how many steps are left."""
        left = self._session.steps_left
        steps = "1 step" if left == 1 else f"{left} steps"
        self._text.setText(f"Closing has interrupted a training about {steps} before its end.")
        self.setVisible(bool(left))

    def release(self) -> None:
        """Disconnect from the session; the strip is not used again."""
        self._session.versions.changed.disconnect(self.show_state)

    def _train(self) -> None:
        self._form.set_steps(self._session.steps_left)
        self._training.train()

    def _end(self, _: object = None) -> None:
        self._session.steps_left = 0
        self.show_state()
