"""Small taggings, and taggers that learn them in a moment."""

from skdeep.transfer import AdapterExtender, SequenceTagger

X_OLD = [
    ["play", "Kind", "of", "Blue"],
    ["rate", "Dune", "by", "now"],
    ["play", "Thriller"],
] * 6
Y_OLD = [
    ["O", "B-album", "I-album", "I-album"],
    ["O", "B-book", "O", "O"],
    ["O", "B-album"],
] * 6

# the artist is new; albums and books are tagged as well
X_NEW = [
    ["play", "Thriller", "by", "Michael", "Jackson"],
    ["rate", "Dune", "by", "now"],
    ["play", "Kind", "of", "Blue"],
] * 6
Y_NEW = [
    ["O", "B-album", "O", "B-artist", "I-artist"],
    ["O", "B-book", "O", "O"],
    ["O", "B-album", "I-album", "I-album"],
] * 6

# the same sentences, in which nothing but the artist is tagged
Y_ONLY_NEW = [
    [tag if tag.endswith("artist") else "O" for tag in tags] for tags in Y_NEW
]

X_NEXT = [["fly", "to", "Paris"], ["play", "Thriller"], ["by", "Jackson"]] * 6
Y_NEXT = [["O", "O", "B-city"], ["O", "B-album"], ["O", "B-artist"]] * 6


def quick_tagger(**params):
    """A tagger that is fitted in a moment."""
    small = {
        "word_size": 8,
        "affix_size": 8,
        "character_size": 4,
        "hidden_size": 8,
        "max_epochs": 6,
        "lr": 0.01,
        "random_state": 0,
        "device": "cpu",
    }
    return SequenceTagger(**{**small, **params})


def quick_extender(source, **params):
    """An extender of taggers that is fitted in a moment."""
    small = {"max_epochs": 6, "lr": 0.01, "random_state": 0, "device": "cpu"}
    return AdapterExtender(source, **{**small, **params})
