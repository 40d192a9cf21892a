"""What is taught: classes, pairs of image and annotation, and what was painted; Qt-free.

It changes on the main thread only. Classes are a draft until the next training gives the network
heads for them; class k is what the rule of each pair makes of painted numbers.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_emcad.annotation.label_rules import MOST_CLASSES
from napari_emcad.annotation.record import Record
from napari_emcad.io.checkpoints.classes import ClassLabel, class_labels
from napari_emcad.io.plain_text import strip_control_characters

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from napari_emcad.annotation.label_rules import LabelRule

_JOINERS = "\u200c\u200d"
"""Without a picture of their own, but some scripts are spelled with them."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its annotation, as far as teaching is concerned.

    Attributes
    ----------
    key
        What tells it from others.
    name
        Of the image.
    rule
        What the painted numbers mean.
    ticked
        Whether it counts.
    """

    key: Hashable
    name: str
    rule: LabelRule
    ticked: bool = True


def tidy(name: str) -> str:
    """Return a name on one line, without control and other invisible characters."""
    one_line = strip_control_characters(" ".join(name.split()))
    visible = "".join(c for c in one_line if c in _JOINERS or unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFC", " ".join(visible.split())).strip(_JOINERS)


def _alike(name: str) -> str:
    """Return what names that look the same have in common."""
    plain = tidy(name).translate(dict.fromkeys(map(ord, _JOINERS)))
    return unicodedata.normalize("NFKC", plain).casefold()


class AnnotationProject:
    """Classes, pairs and record.

    Attributes
    ----------
    classes_changed, pairs_changed, record_changed
        Emitted after such a change.
    """

    classes_changed = Signal()
    pairs_changed = Signal()
    record_changed = Signal()

    def __init__(self) -> None:
        self._classes: tuple[ClassLabel, ...] = class_labels(("object",))
        self._pairs: dict[Hashable, Pair] = {}
        self._record = Record()
        self._renamed: dict[str, str] = {}

    @property
    def classes(self) -> tuple[ClassLabel, ...]:
        """Classes 1, 2, …; the background is class 0 and always there."""
        return self._classes

    @property
    def pairs(self) -> Mapping[Hashable, Pair]:
        """By key, in the order they came."""
        return dict(self._pairs)

    @property
    def record(self) -> Record:
        """What was painted when."""
        return self._record

    # -- classes

    def adopt(self, classes: tuple[ClassLabel, ...]) -> None:
        """Take a model's classes, unless something was painted for the present ones."""
        if not self._record.painted and classes != self._classes:
            self._renamed = {}
            self._set_classes(classes)

    def called_now(self, classes: Iterable[ClassLabel]) -> tuple[ClassLabel, ...]:
        """Return a model's classes under the names that renaming has given them since."""
        known = tuple(classes)
        names = {each.name for each in known}
        now = {old: new for old, new in self._renamed.items() if new not in names}
        return tuple(replace(each, name=now.get(each.name, each.name)) for each in known)

    def add_class(self, name: str = "") -> int:
        """Add a class behind the others and return its number.

        Parameters
        ----------
        name
            Empty for "class 2", "class 3", …

        Raises
        ------
        ValueError
            If there is one of that name, it is too long, or there is no room; what cannot be seen
            in a name is left out.
        """
        k = len(self._classes) + 1
        if k > MOST_CLASSES:
            raise ValueError(f"There is room for {MOST_CLASSES} classes.")
        taken = {each.name for each in self._classes}
        name = tidy(name) or next(
            n for i in range(k, 2 * k + 1) if (n := f"class {i}") not in taken
        )
        self._check_name(name)
        self._set_classes(class_labels((*self._classes, name)))
        self._set_rules({key: pair.rule.with_class(k) for key, pair in self._pairs.items()})
        return k

    def rename_class(self, k: int, name: str) -> None:
        """Give class `k` another name; its paint, its color and its head stay.

        Raises
        ------
        ValueError
            If the name is empty, taken or too long.
        """
        before, after = self._class(k).name, tidy(name)
        if after != before:
            self._check_name(after, besides=before)
            changed = replace(self._class(k), name=after)
            followed = {old: after if new == before else new for old, new in self._renamed.items()}
            self._renamed = {o: n for o, n in (followed | {before: after}).items() if o != after}
            self._change(k, changed)

    def recolor_class(self, k: int, color: str) -> None:
        """Give class `k` another color, as ``#rrggbb``.

        Raises
        ------
        ValueError
            If it is no color.
        """
        self._change(k, replace(self._class(k), color=color))

    def remove_class(self, k: int) -> None:
        """Take class `k` out; what was painted with it stays on its layers and counts no more.

        Raises
        ------
        ValueError
            If it is the only one, or that of single objects.
        """
        self._class(k)
        count = len(self._classes)
        if count == 1:
            raise ValueError("A network needs at least one class besides the background.")
        counted = [each.name for each in self._pairs.values() if each.rule.meaning == "objects"]
        if k == 1 and counted:
            raise ValueError(
                f"The objects of “{counted[0]}” are all of class 1; say that they mean something "
                f"else, or delete their layer first."
            )
        rules = {key: pair.rule.without(k, count) for key, pair in self._pairs.items()}
        self._record = self._record.without(k)
        self._set_classes(tuple(each for i, each in enumerate(self._classes, 1) if i != k))
        self._set_rules(rules)
        self.record_changed.emit()

    def _class(self, k: int) -> ClassLabel:
        if not 1 <= k <= len(self._classes):
            raise ValueError(f"There is no class {k}; classes are 1 to {len(self._classes)}.")
        return self._classes[k - 1]

    def _check_name(self, name: str, besides: str = "") -> None:
        if not name:
            raise ValueError("A class needs a name.")
        others = {_alike(each.name) for each in self._classes if each.name != besides}
        if _alike(name) in {"background", *others}:
            raise ValueError(f"There is a class “{name}” already.")

    def _change(self, k: int, label: ClassLabel) -> None:
        self._set_classes((*self._classes[: k - 1], label, *self._classes[k:]))

    def _set_classes(self, classes: tuple[ClassLabel, ...]) -> None:
        if classes != self._classes:
            self._classes = classes
            self.classes_changed.emit()

    # -- pairs

    def add_pair(self, pair: Pair) -> None:
        """Add a pair, or put it in place of the one with its key."""
        self._pairs[pair.key] = self._complete(pair)
        self.pairs_changed.emit()

    def drop_pair(self, key: Hashable) -> None:
        """Forget a pair; its layers are the user's."""
        if self._pairs.pop(key, None) is not None:
            self.pairs_changed.emit()

    def rename_pair(self, key: Hashable, name: str) -> None:
        """Follow the name of a pair's image."""
        if self._pairs[key].name != name:
            self._pairs[key] = replace(self._pairs[key], name=name)
            self.pairs_changed.emit()

    def change_pair(
        self, key: Hashable, rule: LabelRule | None = None, ticked: bool | None = None
    ) -> None:
        """Change what the numbers of a pair mean, or whether it counts."""
        before = self._pairs[key]
        after = self._complete(replace(before, rule=before.rule if rule is None else rule))
        after = replace(after, ticked=before.ticked if ticked is None else ticked)
        if after != before:
            self._pairs[key] = after
            self.pairs_changed.emit()

    def _complete(self, pair: Pair) -> Pair:
        """Return a pair with a value for each class."""
        for k in range(1, len(self._classes) + 1):
            pair = replace(pair, rule=pair.rule.with_class(k))
        return pair

    def _set_rules(self, rules: Mapping[Hashable, LabelRule]) -> None:
        after = {key: replace(pair, rule=rules[key]) for key, pair in self._pairs.items()}
        if after != self._pairs:
            self._pairs = after
            self.pairs_changed.emit()

    # -- paint

    def take(self, record: Record) -> None:
        """Take a newer record; one that is not newer is a late answer and dropped."""
        if record.looks > self._record.looks:
            self._record = record
            self.record_changed.emit()

    def teach(self) -> Record:
        """Return the record that a model is about to learn; what is held out of it is final."""
        self._record = self._record.frozen_split()
        return self._record

    def why_not_train(self) -> str:
        """Return what is missing for a training, or ""."""
        if not self._pairs:
            return "Make an annotation layer first, or choose one."
        if not any(each.ticked for each in self._pairs.values()):
            return "Tick at least one image."
        if not self._record.painted:
            return "Paint a few strokes first."
        return ""

    def why_no_score(self) -> str:
        """Return why held-out paint says nothing yet, or ""."""
        return self._record.why_no_score()
