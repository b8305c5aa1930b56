"""What sources say in odd ways, and tags that alone look like another scheme."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch import NeuralNetClassifier

from skdeep import AdapterExtender, SequenceTagger
from skdeep.transfer._sources import class_scores


def test_probability_of_a_sigmoid_is_that_of_the_second_class():
    module = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Sigmoid()).eval()
    with torch.no_grad():
        module[0].weight.fill_(1.0)
        module[0].bias.fill_(0.0)
    X = np.array([[-3.0], [3.0]], dtype=np.float32)
    scores = class_scores(module, X, np.array([0, 1]))
    assert scores.argmax(axis=1).tolist() == [0, 1]
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-5)
    wide = torch.nn.Sequential(torch.nn.Linear(1, 3), torch.nn.Sigmoid()).eval()
    with pytest.raises(ValueError, match=r"shape \(2, 3\) for its 2 classes"):
        class_scores(wide, X, np.array([0, 1]))


def digits_net(n_features=64, **params):
    return NeuralNetClassifier(
        torch.nn.Linear(n_features, 5),
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=3,
        lr=0.05,
        train_split=None,
        verbose=0,
        **params,
    )


def test_logits_of_a_net_are_no_probabilities_and_not_clipped():
    X, y = load_digits(return_X_y=True)
    X = (X[y < 5] / 16).astype(np.float32)
    net = digits_net(predict_nonlinearity=None).fit(X, y[y < 5])
    scores = class_scores(net, X, np.arange(5))
    assert (scores.argmax(axis=1) == net.predict(X)).all()
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-4)


def test_probabilities_out_of_range_are_refused():
    class Odd(KNeighborsClassifier):
        def predict_proba(self, X):
            return 3 * super().predict_proba(X)

    X, y = load_iris(return_X_y=True)
    odd = Odd().fit(X, y)
    with pytest.raises(ValueError, match="Odd.*from 0 to 3, which are no prob"):
        class_scores(odd, X, np.arange(3))


def test_columns_by_name_reach_the_steps_in_front_of_a_net():
    pd = pytest.importorskip("pandas")
    X, y = load_digits(return_X_y=True, as_frame=True)
    names = X.columns.tolist()
    scale = ColumnTransformer([("scale", StandardScaler(), names[:32])])
    single = FunctionTransformer(lambda rows: np.asarray(rows, np.float32))
    old = y < 5
    source = make_pipeline(scale, single, digits_net(32)).fit(X[old], y[old].to_numpy())
    new = (y >= 5) & (y < 7)
    how = {"new_annotation": "new_only", "random_state": 0}
    model = AdapterExtender(source, **how).fit(X[new], y[new].to_numpy())
    assert isinstance(X, pd.DataFrame)
    assert (model.predict_source(X[old]) == source.predict(X[old])).all()
    assert set(model.predict(X[new])) & {5, 6}


def test_images_may_come_as_lists():
    X = np.random.default_rng(0).normal(size=(12, 1, 4, 4)).astype(np.float32)
    y = np.repeat([2, 3], 6)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2)).eval()
    model = AdapterExtender(net, method="adapter", max_epochs=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = model.fit(X, y, classes=[0, 1]).predict_proba(X)
        other = model.fit(X.tolist(), y, classes=[0, 1]).predict_proba(X.tolist())
    np.testing.assert_array_equal(one, other)


def test_rows_inside_a_source_have_no_names_and_nobody_is_told():
    X, y = load_digits(return_X_y=True, as_frame=True)
    source = KNeighborsClassifier(3).fit(X[y < 5], y[y < 5])
    new = (y >= 5) & (y < 7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = AdapterExtender(source, new_annotation="new_only", random_state=0)
        model.fit(X[new], y[new]).predict(X[:50])


def test_a_tagger_that_goes_on_keeps_its_scheme():
    words = [["a", "b", "c"], ["d", "o"]]
    tags = [["B-x", "I-x", "E-x"], ["S-x", "O"]]
    tagger = SequenceTagger(warm_start=True, max_epochs=1, random_state=0)
    tagger.fit(words * 4, tags * 4)
    for more in ([["O", "O", "O"], ["O", "O"]], [["B-x", "I-x", "I-x"], ["B-x", "O"]]):
        tagger.fit(words, more)
        assert tagger.scheme_ == "BIOES"
    with pytest.raises(ValueError, match="scheme 'IO', those of the fitted tagger"):
        tagger.fit(words, [["I-x", "I-x", "I-x"], ["I-x", "O"]])


def test_true_tags_of_the_pile_are_those_of_the_source():
    from skdeep.transfer import _sequence_mode as sequence_mode

    words = [["play", "Dune"], ["rate", "Dune"]]
    source = SequenceTagger(max_epochs=30, random_state=0)
    source.fit(words * 8, [["O", "B-book"], ["O", "B-book"]] * 8)
    seen = []
    original = sequence_mode._make_task

    def watch(*args):
        seen.append(original(*args))
        return seen[-1]

    model = AdapterExtender(source, source_signal="gold", max_epochs=1, random_state=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequence_mode, "_make_task", watch)
        new = [["sing", "Dune", "Help"]] * 4
        tags = [["O", "B-book", "B-song"]] * 4
        model.fit(new, tags, X_unlabeled=[["rate", "Dune"]])
    assert seen[0].gold[-1] == seen[0].said.tags[-1] == ["O", "B-book"]
    with pytest.raises(ValueError, match="takes no sample_weight"):
        model.score(new, tags, sample_weight=np.ones(4))


def test_gold_needs_a_source_that_knows_what_is_outside():
    words, tags = [["a", "b"], ["b", "c"]], [["DET", "NOUN"], ["NOUN", "VERB"]]
    source = SequenceTagger(max_epochs=1, random_state=0).fit(words * 5, tags * 5)
    model = AdapterExtender(source, source_signal="gold", max_epochs=1)
    with pytest.raises(ValueError, match="source_signal='gold' says 'O'"):
        model.fit([["a", "d"]] * 4, [["DET", "ADJ"]] * 4)


def test_rows_with_missing_values_are_answered_if_the_source_takes_them():
    X, y = load_iris(return_X_y=True)
    old = y < 2
    forest = RandomForestClassifier(10, random_state=0).fit(X[old], y[old])
    extender = AdapterExtender(forest, method="stacking").fit(X[::2], y[::2])
    means = X[::2].mean(axis=0)
    rows = np.where(np.arange(600).reshape(150, 4) % 7 == 0, np.nan, X)
    found = extender.predict_proba(rows)
    assert np.isfinite(found).all()
    assert (found.argmax(axis=1) == y).mean() > 0.85
    features, scores = extender._see(rows)
    np.testing.assert_allclose(features, np.where(np.isnan(rows), means, X), rtol=1e-6)
    np.testing.assert_array_equal(scores, class_scores(forest, rows, np.array([0, 1])))
    assert extender.predict_source(rows).tolist() == forest.predict(rows).tolist()
    chain = extender.extend(X, np.where(X[:, 0] > 7, 5, y))
    assert np.isfinite(chain.predict_proba(rows)).all()
    with pytest.raises(ValueError, match="X contains infinity"):
        extender.predict(np.where(np.isnan(rows), np.inf, rows))
    with pytest.raises(ValueError, match="X contains NaN"):
        extender.partial_fit(rows, y)


def test_missing_values_reach_a_source_with_nothing_beside_it():
    X, y = load_iris(return_X_y=True)
    extender = AdapterExtender(RandomForestClassifier(10), prefit=False).fit(X, y)
    rows = np.where(np.arange(600).reshape(150, 4) % 7 == 0, np.nan, X)
    expected = extender.estimator_.predict(rows)
    assert extender.predict(rows).tolist() == expected.tolist()
    assert (extender.predict_proba(rows).argmax(axis=1) == expected).all()


def test_missing_values_are_refused_if_the_source_refuses_them():
    X, y = load_iris(return_X_y=True)
    source = KNeighborsClassifier().fit(X[y < 2], y[y < 2])
    for features in ("auto", "scores"):
        extender = AdapterExtender(source, method="stacking", features=features)
        extender.fit(X, y)
        with pytest.raises(ValueError, match="Input X contains NaN"):
            extender.predict(X * np.nan)
