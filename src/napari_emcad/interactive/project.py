"""The annotation project: classes, annotated images and the record of annotations, without Qt.

It is changed on the main thread only. Classes are a draft until the next training gives the network
a head for them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_emcad.annotation.label_rules import BACKGROUND, MOST_CLASSES
from napari_emcad.annotation.record import Record
from napari_emcad.interactive.annotation_entry import ClassState
from napari_emcad.interactive.class_names import check_class_name, clean_name
from napari_emcad.interactive.class_renames import ClassRenames
from napari_emcad.io.checkpoints.classes import ClassLabel, class_labels

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from napari_emcad.annotation.label_rules import LabelRule
    from napari_emcad.interactive.annotation_entry import AnnotationEntry


class AnnotationProject:
    """Classes, annotations and their record.

    Attributes
    ----------
    classes_changed, entries_changed, record_changed
        Emitted after such a change.
    """

    classes_changed = Signal()
    entries_changed = Signal()
    record_changed = Signal()

    def __init__(self) -> None:
        self._classes: tuple[ClassLabel, ...] = class_labels(("object",))
        self._entries: dict[Hashable, AnnotationEntry] = {}
        self._record = Record()
        self._renames = ClassRenames()

    @property
    def classes(self) -> tuple[ClassLabel, ...]:
        """Classes 1, 2, …; the background is class 0 and always exists."""
        return self._classes

    @property
    def entries(self) -> Mapping[Hashable, AnnotationEntry]:
        """Annotations by key, in the order in which they were added."""
        return dict(self._entries)

    @property
    def record(self) -> Record:
        """Record of all annotations."""
        return self._record

    # -- classes

    def adopt_classes(self, classes: tuple[ClassLabel, ...]) -> tuple[ClassLabel, ...]:
        """Take the classes of a model; return those that were added to annotated ones.

        If something is annotated, its classes stay, and the model's other classes are appended, so
        that a training keeps the heads of all.
        """
        if not self._record.pixel_counts:
            if classes != self._classes:
                self._renames = ClassRenames()
                self._set_classes(classes)
            return ()
        present = {label.name for label in self._classes}
        current = self.with_current_labels(classes)
        new = [label.name for label in current if label.name not in present]
        if len(present) + len(new) >= BACKGROUND:
            return ()  # a training names it
        self._set_classes(class_labels((*self._classes, *new)))
        added = self._classes[len(present) :]
        self._set_rules(
            {
                key: entry.rule.with_classes(len(self._classes))
                for key, entry in self._entries.items()
            }
        )
        return added

    def with_current_labels(self, classes: Iterable[ClassLabel]) -> tuple[ClassLabel, ...]:
        """Return the classes of a model with the names and colors that the user gave them since."""
        return self._renames.apply(classes, self._classes)

    def follow_labels(self, before: Sequence[ClassLabel], after: Sequence[ClassLabel]) -> None:
        """Change names and colors of classes as those of the model were changed on the Model tab.

        Parameters
        ----------
        before, after
            The model's classes 1, 2, … before and after.

        Raises
        ------
        ValueError
            If two annotated classes would get one name; then nothing changes.
        """
        changed = {
            old.name: new for old, new in zip(before, after, strict=True) if old.name != new.name
        }
        kept = {label.name for label in self._classes if label.name not in changed}
        doubled = [
            k
            for k, label in enumerate(self._classes, start=1)
            if label.name in changed and changed[label.name].name in kept
        ]
        for k in doubled:
            if self._record.pixel_counts.get(k):
                raise ValueError(_both_annotated(self._class(k).name, changed))
        for k in reversed(doubled):
            self.remove_class(k)
        names = {old: new.name for old, new in changed.items()}
        self._renames = self._renames.then(names)
        recolored = {old.name: new for old, new in zip(before, after, strict=True)}
        self._set_classes(tuple(recolored.get(label.name, label) for label in self._classes))

    def add_class(self, name: str = "") -> int:
        """Append a class and return its number.

        Parameters
        ----------
        name
            Name of the class; "" for "class 2", "class 3", … Invisible characters are removed.

        Raises
        ------
        ValueError
            If the name is taken or too long, or there are as many classes as possible.
        """
        k = len(self._classes) + 1
        if k > MOST_CLASSES:
            raise ValueError(f"There can be at most {MOST_CLASSES} classes.")
        taken = {label.name for label in self._classes}
        name = clean_name(name) or next(
            free for n in range(k, 2 * k + 1) if (free := f"class {n}") not in taken
        )
        check_class_name(name, self._classes)
        self._set_classes(class_labels((*self._classes, name)))
        self._set_rules({key: entry.rule.with_class(k) for key, entry in self._entries.items()})
        return k

    def rename_class(self, k: int, name: str) -> None:
        """Rename class `k`; its annotations, color and head stay.

        Raises
        ------
        ValueError
            If the name is empty, taken or too long.
        """
        before, after = self._class(k).name, clean_name(name)
        if after != before:
            others = (label for label in self._classes if label.name != before)
            check_class_name(after, others)
            label = replace(self._class(k), name=after)
            self._renames = self._renames.then({before: after})
            self._set_classes((*self._classes[: k - 1], label, *self._classes[k:]))

    def recolor_class(self, k: int, color: str) -> None:
        """Set the color of class `k`, as ``#rrggbb``.

        Raises
        ------
        ValueError
            If it is not a color.
        """
        label = replace(self._class(k), color=color)
        self._set_classes((*self._classes[: k - 1], label, *self._classes[k:]))

    def remove_class(self, k: int) -> None:
        """Remove class `k`; its pixels stay in the layers but are unlabeled.

        Raises
        ------
        ValueError
            If it is the only class, or that of instance labels.
        """
        self._class(k)
        count = len(self._classes)
        if count == 1:
            raise ValueError("A network needs at least one class besides the background.")
        instances = [e.name for e in self._entries.values() if e.rule.meaning == "objects"]
        if k == 1 and instances:
            raise ValueError(
                f"The objects of “{instances[0]}” are all of class 1; choose another meaning for "
                f"its values, or delete the layer first."
            )
        rules = {key: entry.rule.without_class(k, count) for key, entry in self._entries.items()}
        self._record = self._record.without_class(k)
        self._set_classes(tuple(label for n, label in enumerate(self._classes, 1) if n != k))
        self._set_rules(rules)
        self.record_changed.emit()

    def class_state(self) -> ClassState:
        """Return the classes and what depends on them, for `restore_classes`."""
        rules = {key: entry.rule for key, entry in self._entries.items()}
        return ClassState(self._classes, rules, self._record)

    def restore_classes(self, state: ClassState) -> None:
        """Undo changes of the classes; annotations that were added since keep their rules."""
        self._record = replace(state.record, scans=self._record.scans)
        self._set_classes(state.classes)
        self._set_rules({k: state.rules.get(k, entry.rule) for k, entry in self._entries.items()})
        self.record_changed.emit()

    def _class(self, k: int) -> ClassLabel:
        if not 1 <= k <= len(self._classes):
            raise ValueError(f"There is no class {k}; classes are 1 to {len(self._classes)}.")
        return self._classes[k - 1]

    def _set_classes(self, classes: tuple[ClassLabel, ...]) -> None:
        if classes != self._classes:
            self._classes = classes
            self.classes_changed.emit()

    # -- annotations

    def add_entry(self, entry: AnnotationEntry) -> None:
        """Add an annotation, or replace the one with its key; see `LabelRule.with_classes`."""
        self._entries[entry.key] = replace(entry, rule=entry.rule.with_classes(len(self._classes)))
        self.entries_changed.emit()

    def remove_entry(self, key: Hashable) -> None:
        """Remove an annotation from the project; its layers are not touched."""
        if self._entries.pop(key, None) is not None:
            self.entries_changed.emit()

    def change_entry(
        self,
        key: Hashable,
        name: str | None = None,
        rule: LabelRule | None = None,
        enabled: bool | None = None,
    ) -> None:
        """Change the image name, the rule or the use of an annotation; None leaves a value."""
        before = self._entries[key]
        after = replace(
            before,
            name=before.name if name is None else name,
            rule=before.rule if rule is None else rule,
            enabled=before.enabled if enabled is None else enabled,
        )
        if rule is not None:
            after = replace(after, rule=after.rule.with_classes(len(self._classes)))
        if after != before:
            self._entries[key] = after
            self.entries_changed.emit()

    def _set_rules(self, rules: Mapping[Hashable, LabelRule]) -> None:
        entries = {key: replace(entry, rule=rules[key]) for key, entry in self._entries.items()}
        if entries != self._entries:
            self._entries = entries
            self.entries_changed.emit()

    # -- record

    def update_record(self, record: Record) -> None:
        """Take a newer record; one that is not newer is the result of a late scan and dropped."""
        if record.scans > self._record.scans:
            self._record = record
            self.record_changed.emit()

    def freeze_split(self) -> Record:
        """Return the record to train with; from now on its held-out pixels stay held out."""
        self._record = self._record.frozen_split()
        return self._record

    def why_not_train(self) -> str:
        """Return what is missing for a training, or ""."""
        if not self._entries:
            return "Make an annotation layer first, or choose one."
        if not any(entry.enabled for entry in self._entries.values()):
            return "Tick at least one image."
        if not self._record.pixel_counts:
            return "Paint a few strokes first."
        return ""


def _both_annotated(name: str, changed: Mapping[str, ClassLabel]) -> str:
    return (
        f"“{name}” and “{changed[name].name}” are both annotated and cannot have one name; remove "
        f"one of them on the Teach tab first."
    )
