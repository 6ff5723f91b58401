"""What AUDIO=… may name, and the keys it becomes."""

import pytest

from local.recordings import NoRecordingsError, find_recordings, split_paths


@pytest.fixture
def folder(tmp_path):
    for name in ("talks/one.mp3", "talks/deep/two.wav", "talks/.hidden", "one.mp3", "with space.ogg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def keys(*paths):
    return [recording.key for recording in find_recordings([str(path) for path in paths])]


def test_a_file_keeps_its_name(folder):
    assert keys(folder / "with space.ogg") == ["incoming/with space.ogg"]


def test_a_folder_stands_for_every_file_in_it_but_hidden_ones(folder):
    assert keys(folder / "talks") == ["incoming/talks/deep/two.wav", "incoming/talks/one.mp3"]


def test_equal_names_do_not_overwrite_each_other(folder):
    assert keys(folder / "one.mp3", folder / "talks/one.mp3") == ["incoming/one.mp3", "incoming/2/one.mp3"]


def test_one_path_with_spaces_needs_no_quotes(folder):
    assert split_paths(str(folder / "with space.ogg")) == [str(folder / "with space.ogg")]
    assert split_paths("a.mp3 'b c.mp3'") == ["a.mp3", "b c.mp3"]


@pytest.mark.parametrize("text", ["nowhere.mp3", ""])
def test_what_does_not_exist_is_named(folder, text):
    with pytest.raises(NoRecordingsError, match=r"neither a file|holds no files"):
        find_recordings([text or str(_empty(folder))])


def test_an_open_quote_is_explained():
    with pytest.raises(NoRecordingsError, match="quote paths as in a shell"):
        split_paths("'a.mp3")


def _empty(folder):
    path = folder / "empty"
    path.mkdir()
    return path


def test_a_file_that_cannot_be_read_is_named_before_anything_starts(folder, monkeypatch):
    # As root every file can be read, so ask the system's question with its other answer.
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(NoRecordingsError, match=r"one\.mp3 cannot be read"):
        keys(folder / "one.mp3")
