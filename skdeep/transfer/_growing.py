"""Growing a trained tagger's network: more tags, words and features."""

import numpy as np
import torch

from skdeep.transfer._tagger_modules import TaggerNetwork
from skdeep.utils._torch import build

# dimensions of a weight that run over tags; other dimensions may only grow at their end
_TAG_DIMENSIONS = {
    "bias": (0,),
    "top.weight": (0,),
    "crf.start": (0,),
    "crf.end": (0,),
    "crf.transitions": (0, 1),
    "wide.weight": (1,),
}


def grow(arguments, state, places, generator):
    """Make a larger network that begins with what a trained one knows.

    Parameters
    ----------
    arguments : dict
        Of the new `TaggerNetwork`.

    state : dict of str to Tensor
        Weights of the trained one.

    places : ndarray of shape (n_old_tags,), dtype int64
        Place of each of its tags among the new ones.

    generator : torch.Generator
        Draws what is new.

    Returns
    -------
    module : TaggerNetwork
        Weights of old tags, words and features are copies. Those of new tags are drawn
        from a normal distribution with the mean and the standard deviation of the old
        ones of the same array, cut off at two deviations [1]_; in the wide path they are
        zero. Starts and ends of sentences keep their transitions. An adapter begins anew.

    References
    ----------
    .. [1] Chen and Moschitti, AAAI 2019.
    """
    module = build(lambda: TaggerNetwork(**arguments), generator=generator)
    places = torch.from_numpy(np.asarray(places))
    with torch.no_grad():
        for name, weight in module.state_dict().items():
            old = state.get(name)
            # an adapter of the trained one has looked at other tags, of its own source
            if old is None or name.startswith(("adapter.", "join.")):
                continue
            dimensions = _TAG_DIMENSIONS.get(name, ())
            if dimensions and name != "wide.weight":
                _draw_like(weight, old, generator)
            index = [
                places if d in dimensions else torch.arange(size)
                for d, size in enumerate(old.shape)
            ]
            weight[torch.meshgrid(*index, indexing="ij")] = old.to(weight)
    return module


def _draw_like(weight, old, generator):
    mean, std = float(old.mean()), float(old.std()) if old.numel() > 1 else 0.0
    if std > 0:
        torch.nn.init.trunc_normal_(
            weight, mean, std, mean - 2 * std, mean + 2 * std, generator=generator
        )
    else:
        weight.fill_(mean)
