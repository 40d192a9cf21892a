"""Classes, annotations and record of a project; and random actions on a Session."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import napari_emcad
from napari_emcad.annotation.label_rules import MOST_CLASSES, UNLABELED, LabelRule, target_of
from napari_emcad.annotation.record import Record
from napari_emcad.interactive.annotation_entry import AnnotationEntry
from napari_emcad.interactive.calibrate import Calibration
from napari_emcad.interactive.project import AnnotationProject
from napari_emcad.interactive.session import Session
from napari_emcad.interactive.versions import Versions
from napari_emcad.io.checkpoints.heads import with_class_labels, with_class_names
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.training.events import HeldOut


@pytest.fixture(scope="module")
def bundled():
    return napari_emcad.bundled_checkpoint()


def names(project):
    return [label.name for label in project.classes]


def labels_with_rows(*values):
    labels = np.zeros((8, 8), np.uint8)
    for row, value in enumerate(values):
        labels[row, :4] = value
    return labels


def test_removing_a_class_changes_rules_and_no_label():
    project = AnnotationProject()
    project.add_class("border")
    project.add_class("debris")
    project.add_entry(AnnotationEntry("a", "cells", LabelRule()))
    labels = labels_with_rows(1, 2, 3, 255)
    project.update_record(Record().updated({"a": target_of(labels, LabelRule(), 3)}))
    project.remove_class(2)
    assert names(project) == ["object", "debris"]
    target = target_of(labels, project.entries["a"].rule, 2)
    assert [target[row, 0] for row in range(4)] == [1, UNLABELED, 2, 0]
    assert np.array_equal(project.record.patches["a"].target, target)
    assert project.record.pixel_counts == {0: 4, 1: 4, 2: 4}


def test_a_class_added_after_a_removal_gets_an_unused_label():
    project = AnnotationProject()
    project.add_class("two")
    project.add_entry(AnnotationEntry("a", "cells", LabelRule()))
    project.remove_class(2)
    k = project.add_class("new")
    rule = project.entries["a"].rule
    assert rule.value_of(k) not in (0, 1, 2, 255)
    assert rule.class_of(2) == UNLABELED


def test_objects_stay_objects_when_classes_change():
    project = AnnotationProject()
    project.add_entry(AnnotationEntry("a", "cells", LabelRule("objects")))
    project.add_class("two")
    numbered = np.arange(1, 7)
    assert set(target_of(numbered, project.entries["a"].rule, 2)) == {1}
    with pytest.raises(ValueError, match="“cells” are all of class 1"):
        project.remove_class(1)
    assert names(project) == ["object", "two"]
    project.remove_class(2)
    assert set(target_of(numbered, project.entries["a"].rule, 1)) == {1}


def test_a_renamed_class_is_recognized_in_every_version(bundled):
    project = AnnotationProject()
    project.adopt_classes(bundled.classes)
    (old,) = (label.name for label in bundled.classes)
    project.rename_class(1, "cell")
    project.rename_class(1, "Cell")
    assert [label.name for label in project.with_current_labels(bundled.classes)] == ["Cell"]
    project.add_class(old)
    both = project.classes
    assert project.with_current_labels(both) == both
    assert [label.name for label in project.with_current_labels(bundled.classes)] == ["Cell"]
    project.rename_class(2, "other")
    project.rename_class(1, old)
    assert project.with_current_labels(bundled.classes) == bundled.classes


def test_duplicate_and_empty_names_are_refused():
    project = AnnotationProject()
    for taken in ("object", "Object", "background"):
        with pytest.raises(ValueError, match="already"):
            project.add_class(taken)
    for empty in (" ", "\n\t", "\u200b", "\u200d", "\x00\x1b", "\u202e \u2028"):
        with pytest.raises(ValueError, match="needs a name"):
            project.rename_class(1, empty)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("a\nb", "a b"),
        ("  cell\r\n wall\t", "cell wall"),
        ("\u202ecell\x07", "cell"),
        ("e\u0301", "é"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\u200bcell\ufeff", "cell"),
    ],
)
def test_a_name_is_reduced_to_one_line_of_visible_characters(typed, name):
    project = AnnotationProject()
    project.rename_class(1, typed)
    assert names(project) == [name]
    project.add_class("x")
    for taken in (typed, f" {typed.upper()}\n", f"{typed}\u200d"):
        with pytest.raises(ValueError, match="already"):
            project.rename_class(2, taken)


def test_a_name_that_is_too_long_is_refused(bundled):
    project = AnnotationProject()
    project.adopt_classes(bundled.classes)
    for change in (project.add_class, lambda name: project.rename_class(1, name)):
        with pytest.raises(ValueError, match="one line of at most 100 characters"):
            change("x" * 101)
    assert project.classes == project.with_current_labels(bundled.classes) == bundled.classes


def test_the_number_of_classes_is_limited():
    project = AnnotationProject()
    while len(project.classes) < MOST_CLASSES:
        project.add_class()
    assert len(set(names(project))) == MOST_CLASSES
    with pytest.raises(ValueError, match="at most 64 classes"):
        project.add_class()


def _annotated(session, k=1):
    target = target_of(labels_with_rows(k), LabelRule(), len(session.project.classes))
    session.project.update_record(Record().updated({"a": target}))


def _heads(checkpoint):
    return {name: t for name, t in checkpoint.tensors.items() if name.startswith("heads.")}


def _same_tensors(one, other):
    return all(
        np.shares_memory(other.tensors[name], tensor) for name, tensor in one.tensors.items()
    )


def _keeps_heads(session, before):
    adapted = with_class_labels(session.checkpoint, session.project.classes)
    return _same_tensors(adapted, before)


@pytest.mark.parametrize("annotated", [True, False])
def test_one_owner_of_classes_names_given_on_the_model_tab_apply_to_annotations(bundled, annotated):
    session = Session()
    session.open(bundled)
    if annotated:
        _annotated(session)
    session.override(classes=["cell"])
    assert names(session.project) == ["cell"]
    assert _keeps_heads(session, bundled)
    session.override(low=1.0, high=99.0)
    assert (
        [label.name for label in session.checkpoint.classes] == names(session.project) == ["cell"]
    )
    session.revert()
    assert session.checkpoint is bundled
    assert names(session.project) == ["nucleus"]


def test_one_owner_of_classes_names_given_to_annotations_apply_to_the_model(bundled):
    session = Session()
    session.open(bundled)
    seen = []
    session.checkpoint_changed.connect(lambda checkpoint: seen.append(checkpoint.classes))
    session.project.rename_class(1, "cell")
    session.project.recolor_class(1, "#123456")
    assert session.checkpoint.classes == session.project.classes == seen[-1]
    assert session.overridden
    assert _keeps_heads(session, bundled)
    session.go_to(next(iter(session.versions)))
    assert session.checkpoint.classes == session.project.classes
    session.revert()
    assert names(session.project) == ["nucleus"]


def test_one_owner_of_classes_swapped_names_keep_their_heads(bundled):
    both = with_class_names(bundled, ["a", "b"])
    session = Session()
    session.open(both)
    _annotated(session)
    session.override(classes=["b", "a"])
    assert names(session.project) == ["b", "a"]
    assert _keeps_heads(session, both)


def test_one_owner_of_classes_a_model_opened_after_painting_keeps_all_its_heads(bundled):
    session = Session()
    session.open(bundled)
    _annotated(session)
    organs = ["liver", "spleen", "aorta", "stomach"]
    opened = with_class_names(bundled, organs)
    added = session.open(opened)
    assert [label.name for label in added] == organs
    assert names(session.project) == ["nucleus", *organs]
    adapted = with_class_labels(session.checkpoint, session.project.classes)
    for name, head in _heads(opened).items():
        assert np.array_equal(adapted.tensors[name][2:], head[1:])
    session.project.remove_class(5)
    adapted = with_class_labels(session.checkpoint, session.project.classes)
    assert [label.name for label in adapted.classes] == ["nucleus", *organs[:-1]]


def test_one_owner_of_classes_a_name_of_two_annotated_classes_is_refused(bundled):
    session = Session()
    session.open(bundled)
    session.project.add_class("cell")
    target = np.array([[1, 1, 2, 2]] * 4, np.int16)
    session.project.update_record(Record().updated({"a": target}))
    before = session.checkpoint
    with pytest.raises(CheckpointError, match="both annotated"):
        session.override(classes=["cell"])
    assert session.checkpoint is before
    assert names(session.project) == ["nucleus", "cell"]
    session.project.update_record(
        session.project.record.updated({"a": np.where(target == 2, 2, -1).astype(np.int16)})
    )
    session.override(classes=["cell"])
    assert names(session.project) == ["cell"]
    assert _keeps_heads(session, bundled)


def test_a_renamed_class_leaves_a_calibration_valid(bundled):
    session = Session()
    session.open(bundled)
    session.set_calibration(Calibration(bundled, 1.5, None, None, 0))
    session.project.rename_class(1, "cell")
    assert session.temperature == 1.5


def test_the_classes_of_a_model_are_adopted_only_without_annotations(bundled):
    project = AnnotationProject()
    project.adopt_classes(bundled.classes)
    assert project.classes == bundled.classes
    project.add_class("border")
    project.update_record(Record().updated({"a": target_of(labels_with_rows(1), LabelRule(), 2)}))
    project.adopt_classes(bundled.classes)
    assert names(project) == ["nucleus", "border"]


def test_a_late_record_is_dropped():
    project = AnnotationProject()
    first = Record().updated({"a": target_of(labels_with_rows(1), LabelRule(), 1)})
    second = first.updated({"a": target_of(labels_with_rows(1, 1), LabelRule(), 1)})
    project.update_record(second)
    project.update_record(first)
    assert project.record is second


def test_missing_requirements_of_training_are_named_in_order():
    project = AnnotationProject()
    assert "annotation layer" in project.why_not_train()
    project.add_entry(AnnotationEntry("a", "cells", LabelRule(), enabled=False))
    assert "Tick" in project.why_not_train()
    project.change_entry("a", enabled=True)
    assert "strokes" in project.why_not_train()
    project.update_record(Record().updated({"a": target_of(labels_with_rows(1), LabelRule(), 1)}))
    assert not project.why_not_train()


def test_versions_keep_the_opened_and_the_current_one_within_memory(bundled, monkeypatch):
    versions = Versions(most_bytes=3 * _size(bundled))
    first = versions.add("opened", bundled)
    trained = versions.add("trained", bundled)
    for _ in range(4):
        live = versions.add("live", bundled)
    assert list(versions) == [first, trained, live]
    versions.go_to(first)
    with pytest.raises(ValueError, match="dropped"):
        versions.go_to(Versions().add("live", bundled))


def _size(checkpoint):
    return sum(tensor.nbytes for tensor in checkpoint.tensors.values())


def test_returning_to_a_version_keeps_all_versions(bundled):
    session = Session()
    session.open(bundled)
    trained = with_class_labels(bundled, bundled.classes)
    session.add_version(
        "trained", napari_emcad.Checkpoint(**_fields(trained)), 3, HeldOut(0.5, 0.4), 20
    )
    old, new = session.versions
    session.go_to(old)
    assert session.checkpoint is bundled
    assert list(session.versions) == [old, new]
    session.go_to(new)
    assert session.checkpoint is new.checkpoint


def _fields(checkpoint):
    from dataclasses import fields

    return {field.name: getattr(checkpoint, field.name) for field in fields(checkpoint)}


class RandomSession(RuleBasedStateMachine):
    """Random valid and invalid actions; only ValueError and RuntimeError may be raised."""

    def __init__(self):
        super().__init__()
        self.session = Session()
        self.labels = {}
        self.tickets = []
        self.made = 0
        self.training_target = {}

    @property
    def project(self):
        return self.session.project

    def try_to(self, do, *args, **kwargs):
        try:
            return do(*args, **kwargs)
        except (ValueError, RuntimeError) as error:
            if not str(error):
                raise
            return None

    @rule()
    def open_bundled(self):
        self.session.open(_BUNDLED)

    @rule(name=st.sampled_from(["", "a", "b", "nucleus", "background", "c d"]))
    def add_class(self, name):
        self.try_to(self.project.add_class, name)

    @rule(k=st.integers(-1, 6))
    def remove_class(self, k):
        before = {key: labels.copy() for key, labels in self.labels.items()}
        self.try_to(self.project.remove_class, k)
        assert all(np.array_equal(before[key], self.labels[key]) for key in before)
        self.training_target = {}

    @rule(k=st.integers(-1, 6), name=st.sampled_from(["x", "y", "", "a", "A\n", "\x00"]))
    def rename_class(self, k, name):
        self.try_to(self.project.rename_class, k, name)

    @rule(k=st.integers(-1, 6), color=st.sampled_from(["#123456", "red", ""]))
    def recolor(self, k, color):
        self.try_to(self.project.recolor_class, k, color)

    @rule(meaning=st.sampled_from(["scribbles", "mask", "objects"]))
    def add_entry(self, meaning):
        key = len(self.labels)
        self.labels[key] = np.zeros((12, 12), np.uint8)
        self.project.add_entry(AnnotationEntry(key, f"image {key}", LabelRule(meaning)))

    @rule(key=st.integers(0, 3))
    def remove_entry(self, key):
        self.project.remove_entry(key)
        self.labels.pop(key, None)

    @rule(key=st.integers(0, 3), on=st.booleans())
    def tick(self, key, on):
        if key in self.project.entries:
            self.project.change_entry(key, enabled=on)

    @rule(key=st.integers(0, 3), k=st.integers(0, 4), y=st.integers(0, 10), x=st.integers(0, 10))
    def paint(self, key, k, y, x):
        pair = self.project.entries.get(key)
        if pair is None or k > len(self.project.classes):
            return
        value = self.try_to(pair.rule.value_of, k)
        if value is not None:
            self.labels[key][y : y + 2, x : x + 4] = value

    @rule()
    def scan(self):
        targets = {}
        for key, pair in self.project.entries.items():
            target = self.try_to(target_of, self.labels[key], pair.rule, len(self.project.classes))
            if target is not None:
                targets[key] = target
        masks = {
            key for key, pair in self.project.entries.items() if pair.rule.meaning != "scribbles"
        }
        self.project.update_record(self.project.record.updated(targets, masks))

    @rule(verb=st.sampled_from(["Training", "Updating"]))
    def begin(self, verb):
        ticket = self.try_to(self.session.begin, verb)
        if ticket is not None:
            self.tickets.append(ticket)

    @rule(which=st.integers(0, 3))
    def end(self, which):
        if which < len(self.tickets):
            self.session.end(self.tickets[which])

    @rule(how=st.sampled_from(["trained", "live"]))
    def add_version(self, how):
        if self.session.checkpoint is not None:
            adapted = with_class_labels(self.session.checkpoint, self.project.classes)
            self.session.add_version(how, adapted, 1, HeldOut(0.5, 0.3), 10)
            assert self.session.checkpoint.classes == self.project.classes

    @rule(seed=st.integers(0, 5))
    def override_names(self, seed):
        if self.session.checkpoint is not None:
            count = len(self.session.checkpoint.classes)
            given = np.random.default_rng(seed).permutation(list("abcdefghijklmnop"))[:count]
            self.try_to(self.session.override, classes=given.tolist())

    @rule()
    def revert(self):
        self.try_to(self.session.revert)

    @rule(which=st.integers(0, 8))
    def go_to(self, which):
        listed = list(self.session.versions)
        if which < len(listed):
            self.session.go_to(listed[which])

    @invariant()
    def class_names_are_unique(self):
        listed = names(self.project)
        assert len({name.casefold() for name in listed}) == len(listed) >= 1
        assert all(name.isprintable() for name in listed)

    @invariant()
    def scribbles_have_one_label_per_class(self):
        for pair in self.project.entries.values():
            if pair.rule.meaning == "scribbles":
                values = [pair.rule.value_of(k) for k in range(len(self.project.classes) + 1)]
                assert len(set(values)) == len(values)
                assert all(0 < value <= 255 for value in values)

    @invariant()
    def no_pixel_is_both_trained_on_and_held_out(self):
        for patch in self.project.record.patches.values():
            assert not (
                (patch.training_target() != UNLABELED) & (patch.validation_target() != UNLABELED)
            ).any()
            assert patch.target.max(initial=-1) <= len(self.project.classes)

    @invariant()
    def the_open_checkpoint_is_the_current_version(self):
        current = self.session.versions.current
        used = self.session.checkpoint
        assert (used is None) == (current is None)
        assert current is None or _same_tensors(current.checkpoint, used)

    @invariant()
    def the_project_has_every_name_of_the_open_checkpoint_or_removed_it(self):
        checkpoint = self.session.checkpoint
        if checkpoint is not None:
            assert self.project.with_current_labels(checkpoint.classes) == checkpoint.classes

    @invariant()
    def at_most_one_job_runs(self):
        running = self.session.running
        assert running is None or running in self.tickets


_BUNDLED = napari_emcad.bundled_checkpoint()
TestRandomSession = RandomSession.TestCase
TestRandomSession.settings = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
