from sources.metadata import Metadata


def test_labels_are_text_whatever_yaml_made_of_them() -> None:
    metadata = Metadata(labels={"a": "x\0", "b": 1.16, "c": False, "d": None, "e": 10**5000})
    assert metadata.clean_labels() == {"a": "x\ufffd", "b": "1.16", "c": "false", "d": "", "e": ""}
    assert (metadata.label("b"), metadata.label("none")) == ("1.16", "")


def test_without_labels_and_annotations() -> None:
    assert Metadata().clean_labels() == {}
    assert (Metadata().label("a"), Metadata().annotation("a")) == ("", "")
