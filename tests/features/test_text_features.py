"""Features of texts: TF-IDF as scikit-learn computes it, what it is learned from, views, and sentence encoders."""

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import one_clear_line
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from hashbench import InputError, load_dataset
from hashbench.errors import Unsupported
from hashbench.features.from_key import backbone_from_key
from hashbench.features.opening import open_source
from hashbench.features.options import BackboneOptions
from hashbench.features.texts.settings import TfidfSettings, read_backbone
from hashbench.features.texts.tfidf import some_of

VOCABULARY = [f"word{number:02}" for number in range(40)]


def made(n=60, seed=0):
    rng = np.random.default_rng(seed)
    # Frequencies that differ, so that scikit-learn's choice of the most frequent words is the only one.
    odds = np.arange(1, 41)[::-1] ** 1.5
    return [" ".join(rng.choice(VOCABULARY, rng.integers(3, 30), p=odds / odds.sum())) for _ in range(n)]


@pytest.fixture
def write(tmp_path):
    """Return a function that writes texts of two classes as a table."""

    def run(texts):
        path = tmp_path / "texts.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            rows = [(text, ("a", "b")[row % 2]) for row, text in enumerate(texts)]
            csv.writer(stream).writerows([("text", "label"), *rows])
        return path

    return run


@pytest.fixture
def opened(write, tmp_path):
    """Return a function that opens the features of texts."""

    def run(texts, **options):
        data = load_dataset("text", data_dir=write(texts), cache_dir=tmp_path / "cache")
        return open_source(data, BackboneOptions(**options), tmp_path / "cache")

    return run


@pytest.mark.parametrize(
    ("inside", "vectorizer"),
    [
        ("", TfidfVectorizer()),
        ("[max_features=12]", TfidfVectorizer(max_features=12)),
        ("[min_df=20]", TfidfVectorizer(min_df=20)),
        ("[weighting=counts]", CountVectorizer()),
        ("[unit=characters,max_features=30]", TfidfVectorizer(analyzer="char", ngram_range=(1, 2), max_features=30)),
    ],
)
def test_features_are_scikit_learns_fitted_on_the_training_texts(opened, inside, vectorizer):
    texts = made()
    source = opened(texts, backbone=f"tfidf{inside}")
    train = source.dataset.split.train
    vectorizer.fit([texts[row] for row in train])
    found = source.features().data
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, vectorizer.transform(texts).toarray(), rtol=1e-6, atol=1e-7)


def test_stop_words(opened):
    texts = [f"the cat and its {word} {word}" for word in made(60)]
    plain, without = (opened(texts, backbone=f"tfidf[stop_words={one}]").width for one in ("none", "english"))
    assert plain - without == 3  # the, and, its


def test_equally_frequent_words_are_kept_by_the_alphabet(opened):
    source = opened([" ".join(VOCABULARY)] * 60, backbone="tfidf[max_features=7]")
    assert list(source.backbone.vectorizer.vocabulary) == VOCABULARY[:7]


def test_words_of_queries_alone_are_no_features(opened):
    texts = made()
    source = opened(texts)
    row = source.dataset.split.query[0]
    changed = [*texts]
    changed[row] += " unheard"
    other = opened(changed)
    np.testing.assert_array_equal(other.dataset.split.query, source.dataset.split.query)
    np.testing.assert_array_equal(source.features().data, other.features().data)


def test_the_key_has_settings_and_training_set(opened):
    source = opened(made(), backbone="tfidf[stop_words=english,max_features=12]")
    key = source.key
    assert key["backbone"] == "tfidf[max_features=12,stop_words=english]"
    assert (key["max_features"], key["weighting"], key["pipeline"]) == (12, "tfidf", 1)
    split = replace(source.dataset.split, train=source.dataset.split.train[1:])
    fewer = open_source(replace(source.dataset, split=split), BackboneOptions(), source.cache_dir)
    assert fewer.key["fitted_on"] != key["fitted_on"]
    json.dumps(key)
    with pytest.raises(InputError, match="it was trained on texts"):
        backbone_from_key(key)


def test_features_are_read_from_the_cache_without_words(opened, monkeypatch):
    source = opened(made())
    first = np.array(source.features().data)
    again = open_source(source.dataset, BackboneOptions(), source.cache_dir, source.key)
    assert again.cached_features() == "cached"
    monkeypatch.setattr("hashbench.features.texts.tfidf.Tfidf._counted", None)
    np.testing.assert_array_equal(again.features().data, first)


def test_a_text_without_kept_words_is_zero_and_said_to_be(opened, capsys):
    texts = made()
    texts[7] = "?!"
    source = opened(texts)
    assert not source.features().data[7].any()
    assert "1 of 60 texts have none of the 38 kept words, row 7 the first" in capsys.readouterr().err


BAD_TEXTS = {
    "stop words alone": (
        ["the and of"] * 60,
        "tfidf[stop_words=english]",
        "no word is left of 54 training texts after stop_words=english",
    ),
    "one word": (["word"] * 60, "tfidf", "one word, 'word', is left of 54 training texts"),
    "single letters": (["a b c"] * 60, "tfidf", "no word is left of 54 training texts: words are two letters or more"),
    "rare words": (
        [f"word{row}" for row in range(60)],
        "tfidf[min_df=2]",
        "no word is left of 54 training texts after min_df=2",
    ),
    "Chinese": (["我们今天去公园散步,因为天气非常好。"] * 60, "tfidf", "take --backbone tfidf[unit=characters]"),
    "Thai": (["วันนี้อากาศดีมากเราไปเดินเล่นที่สวนสาธารณะ"] * 60, "tfidf", "take --backbone tfidf[unit=characters]"),
}


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_bad_texts(opened, case):
    texts, backbone, words = BAD_TEXTS[case]
    with pytest.raises(InputError) as caught:
        opened(texts, backbone=backbone).features()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_languages_without_spaces(opened):
    texts = ["我们今天去公园散步", "他昨天在学校看书"] * 30
    assert opened(texts, backbone="tfidf[unit=characters]").features().data.any(axis=1).all()
    spaced = ["我们 今天 去 公园 散步", "他 昨天 在 学校 看书"] * 30
    assert opened(spaced).width == 8 - 1  # words of one character are not counted: 我们 今天 公园 散步 昨天 学校 看书


def test_a_run_refuses_in_one_line(write, tmp_path, cli):
    path = write(["the and of"] * 60)
    arguments = ("run", "--dataset", "text", "--data-dir", path, "--methods", "lsh", "--out", tmp_path / "out")
    one_clear_line(cli(*arguments, "--backbone", "tfidf[stop_words=english]"), "no word is left", "stop_words=english")


BAD_BACKBONES = {
    "resnet18": "for texts, expected tfidf, minilm, or sentences",
    "tfidf[words=3]": "tfidf has no 'words'; it has weighting, max_features",
    "tfidf[max_features=0]": "max_features=0: expected a whole number from 1 on",
    "tfidf[weighting=bm25]": "weighting=bm25: expected one of tfidf, counts",
    "tfidf[min_df=2,min_df=3]": "min_df is given twice",
    "tfidf[": "for texts, expected tfidf",
    "minilm[dims=3]": "minilm has no settings",
}


@pytest.mark.parametrize("text", BAD_BACKBONES)
def test_bad_backbones(text):
    with pytest.raises(InputError) as caught:
        read_backbone(text)
    assert BAD_BACKBONES[text] in str(caught.value)


def test_a_backbone_s_name_is_read_back():
    settings = TfidfSettings("counts", 500, 3, "english", "characters")
    assert read_backbone(settings.name) == ("tfidf", settings)
    assert TfidfSettings().name == "tfidf"


@pytest.mark.parametrize("option", [{"weights": "x"}, {"image_size": 3}, {"precision": "bf16"}, {"batch_size": 3}])
def test_options_of_images_have_no_effect(opened, option):
    with pytest.raises(InputError, match="the backbone tfidf has no use for it"):
        opened(made(), **option)


def test_views_depend_on_seed_and_number_alone(opened):
    source = opened(made())
    two = np.array(source.views(2, 0).data)
    assert two.shape == (54, 2, source.width)
    assert two.dtype == np.float16
    three = np.array(source.views(3, 0).data)
    np.testing.assert_array_equal(three[:, :2], two)
    assert (two[:, 0] != two[:, 1]).any()
    assert (np.array(source.views(2, 1).data) != two).any()
    assert source.view_key(2, 0)["recipe"]["rate"] == 0.2
    whole = source.features().data[source.dataset.split.train]
    assert not two[whole.astype(bool)[:, None, :].repeat(2, 1) == 0].any()  # words are left out, none is added
    with pytest.raises(Unsupported, match="are not trained"):
        source.tunable()


def test_word_dropout_keeps_a_piece():
    rng = np.random.default_rng(0)
    n_kept = [len(some_of(["a"] * 100, rng, 0.2)) for _ in range(100)]
    assert 78 < np.mean(n_kept) < 82
    assert some_of(["a", "b"], rng, 1.0) in (["a"], ["b"])


# An encoder that needs no network: each text by the lengths of its first words.
LIBRARY = """
import numpy as np

class SentenceTransformer:
    def __init__(self, folder, device, local_files_only):
        assert local_files_only and device == "cpu"

    def encode(self, texts, batch_size, show_progress_bar, convert_to_numpy):
        lengths = [[len(word) for word in text.split()] for text in texts]
        return np.array([(one + [0] * 8)[:8] for one in lengths], np.float32)
"""
MODULES = [{"idx": 0, "name": "0", "path": ""}, {"idx": 1, "name": "1", "path": "1_Pooling"}]


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    """Return the folder of an encoder, for a library that stands in for sentence-transformers."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "sentence_transformers.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path / "library")
    monkeypatch.delitem(sys.modules, "sentence_transformers", raising=False)
    folder = tmp_path / "encoder"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "modules.json").write_text(json.dumps(MODULES))
    for name in ("config.json", "1_Pooling/config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    yield folder
    sys.modules.pop("sentence_transformers", None)


def test_a_sentence_encoder(opened, encoder):
    texts = made()
    source = opened(texts, backbone="sentences", weights=encoder, device="cpu")
    np.testing.assert_array_equal(source.features().data[:, 0], 6)
    assert source.features().data.shape == (60, 8)
    assert source.views(1, 0).data.shape == (54, 1, 8)
    before = source.key
    (encoder / "model.safetensors").write_bytes(b"other weights")
    after = opened(texts, backbone="sentences", weights=encoder, device="cpu").key
    assert before["weights"] != after["weights"]
    assert before["backbone"] == after["backbone"] == "sentences"


@pytest.mark.parametrize("missing", ["modules.json", "config.json", "model.safetensors", "tokenizer.json", "1_Pooling"])
def test_an_incomplete_encoder(opened, encoder, missing):
    (encoder / missing).rename(encoder / "moved")
    with pytest.raises(InputError, match="is no whole sentence encoder: ") as caught:
        opened(made(), backbone="sentences", weights=encoder, device="cpu")
    assert "\n" not in str(caught.value)


def test_encoders_that_cannot_be_had(opened, encoder, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="needs --weights FOLDER"):
        opened(made(), backbone="sentences")
    with pytest.raises(InputError, match="no such folder"):
        opened(made(), backbone="sentences", weights=tmp_path / "none")
    (encoder / "modules.json").write_text("[")
    with pytest.raises(InputError, match=r"modules\.json cannot be read"):
        opened(made(), backbone="sentences", weights=encoder)
    monkeypatch.setattr("hashbench.features.texts.sentences.find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs sentence-transformers, which is not installed: pip install"):
        opened(made(), backbone="sentences", weights=encoder)
