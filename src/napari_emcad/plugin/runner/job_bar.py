"""Progress of the running job, its Stop button, and the last message."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_emcad.plugin.widgets.helpers import ERROR_COLOR, duration, text

if TYPE_CHECKING:
    from napari_emcad.inference.events import Progress

_LINES, _MARGIN = 2, 8
"""Lines of a message that are seen without scrolling, and pixels around them."""


class JobBar(QWidget):
    """A progress bar with the time left, buttons to stop and cancel, and the last message.

    Signals
    -------
    stop_requested, cancel_requested
        The user pressed Stop, or Cancel.
    """

    stop_requested = Signal()
    cancel_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._verb, self._start, self._first = "", 0.0, 0
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._stop = QPushButton("Stop")
        self._stop.setToolTip("Ends after the current batch; what is done stays")
        self._stop.clicked.connect(self.stop_requested)
        self._cancel = QPushButton("Discard")
        self._cancel.setToolTip("Ends after the current batch; everything is as it was before")
        self._cancel.clicked.connect(self.cancel_requested)
        self._progress_text, self._message = text(), text()
        self._build()
        self._show_running(False)

    def _build(self) -> None:
        self._strip = QWidget()
        row = QHBoxLayout(self._strip)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._progress, 1)
        row.addWidget(self._stop)
        row.addWidget(self._cancel)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        content = QWidget()
        lines = QVBoxLayout(content)
        lines.setContentsMargins(0, 0, 0, 0)
        lines.addWidget(self._message)
        lines.addWidget(self._progress_text)
        lines.addStretch()
        area.setWidget(content)
        self._area = area
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(area)
        column.addWidget(self._strip)
        policy = self._strip.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._strip.setSizePolicy(policy)
        self._fix_height()

    def _fix_height(self) -> None:
        """Give the messages the height of some lines, so that nothing moves under the mouse."""
        self._area.setFixedHeight(_LINES * self.fontMetrics().lineSpacing() + _MARGIN)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the size of the font."""
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fix_height()
        super().changeEvent(event)

    @property
    def message(self) -> str:
        """The last message."""
        return str(self._message.text())

    @property
    def progress(self) -> str:
        """Progress of the job in words."""
        return str(self._progress_text.text())

    def show_message(self, message: str, error: bool = False) -> None:
        """Show a message in place of the last one; "" removes it."""
        self._message.setText(message)
        self._message.setVisible(bool(message))
        self._message.setStyleSheet(f"color: {ERROR_COLOR};" if error else "")

    def show_started(self, verb: str, cancellable: bool) -> None:
        """Show that a job has started.

        Parameters
        ----------
        verb
            Description of the job: "Segmenting nuclei".
        cancellable
            Whether there is a Discard button, beside which Stop says that it keeps the result.
        """
        self._verb, self._start = verb, 0.0
        self.show_message("")
        self._progress_text.setText(f"{verb} …")
        self._show_running(True)
        self._cancel.setVisible(cancellable)
        self._stop.setText("Stop, keep" if cancellable else "Stop")

    def show_progress(self, event: Progress) -> None:
        """Show the progress of the job, and the time left once it can be estimated."""
        self._progress.setRange(0, event.total)
        self._progress.setValue(event.done)
        now = time.monotonic()
        if not event.done or not self._start:
            self._start, self._first = now, event.done
            return
        pace = (now - self._start) / max(event.done - self._first, 1)
        left = _time_left(pace * (event.total - event.done))
        self._progress_text.setText(f"{self._verb}: {event.done} of {event.total}, {left}")

    def show_stopping(self) -> None:
        """Show that the job was asked to end."""
        self._stop.setText("Stopping …")
        self._stop.setEnabled(False)
        self._cancel.setEnabled(False)

    def show_ended(self) -> None:
        """Hide the progress of the job."""
        self._show_running(False)

    def _show_running(self, running: bool) -> None:
        self._strip.setVisible(running)
        self._progress_text.setVisible(running)
        self._stop.setText("Stop")
        self._stop.setEnabled(running)
        self._cancel.setEnabled(running)
        self._progress.setRange(0, 0)


def _time_left(seconds: float) -> str:
    return "almost done" if seconds < 1 else f"about {duration(seconds)} left"
