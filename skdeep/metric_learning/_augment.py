"""Random changes of images that keep their class."""

import math

import torch
import torch.nn.functional as F

from skdeep.exceptions import InvalidParameterError


def random_affine(
    images, generator, *, degrees=15.0, shift=0.1, log_scale=0.15, shear=0.2
):
    """Rotate, move, scale and shear each image by amounts of its own.

    Parameters
    ----------
    images : tensor of shape (n_samples, channels, height, width)
        Images; what comes in from outside is 0.

    generator : torch.Generator
        Source of the amounts.

    degrees : float, default=15.0
        Largest rotation.

    shift : float, default=0.1
        Largest move, as a fraction of the side.

    log_scale : float, default=0.15
        Largest logarithm of the zoom.

    shear : float, default=0.2
        Largest shear.

    Returns
    -------
    images : tensor of shape (n_samples, channels, height, width)
    """

    def uniform(bound):
        draws = torch.rand(len(images), generator=generator, dtype=torch.float32)
        return (2 * draws - 1) * bound

    angle, zoom = uniform(math.radians(degrees)), torch.exp(uniform(log_scale))
    slant, stretch = uniform(shear), torch.exp(uniform(log_scale / 2))
    cos, sin = torch.cos(angle), torch.sin(angle)
    matrix = torch.stack(
        [
            torch.stack([cos, slant * cos - sin, uniform(2 * shift)], dim=1),
            torch.stack([sin, slant * sin + cos, uniform(2 * shift)], dim=1),
        ],
        dim=1,
    )  # (B, 2, 3)
    matrix[:, 0, :2] *= (zoom * stretch)[:, None]
    matrix[:, 1, :2] *= (zoom / stretch)[:, None]
    grid = F.affine_grid(matrix, images.shape, align_corners=False)
    return F.grid_sample(images, grid, align_corners=False, padding_mode="zeros")


class AffineRows:
    """`random_affine` for images given as flat rows.

    Parameters
    ----------
    image_shape : tuple of int
        (channels, height, width).
    """

    def __init__(self, image_shape):
        self.image_shape = image_shape

    def __call__(self, X, generator, quarter_turns=None):
        # (B, C * H * W), (B,) -> (B, C * H * W)
        images = X.unflatten(1, self.image_shape)
        if quarter_turns is not None:
            turned = images.clone()
            for n_turns in (1, 2, 3):
                rows = quarter_turns == n_turns
                turned[rows] = images[rows].rot90(n_turns, dims=(2, 3))
            images = turned
        return random_affine(images, generator).flatten(1)


AUGMENTATIONS = ("auto", "affine", "affine_turns")


def resolve_augment(augment, image_shape, may_add_classes=True):
    """Turn the parameter `augment` into a function.

    Parameters
    ----------
    augment : str, callable or None
        Parameter of the embedder.

    image_shape : tuple of int or None
        (channels, height, width), or None if the samples are plain rows.

    may_add_classes : bool, default=True
        Whether "auto" may turn classes into others.

    Returns
    -------
    augment : callable or None
        What `ClassBalancedBatches` takes.

    n_variants : int
        Classes that each class is turned into.
    """
    is_square = image_shape is not None and image_shape[1] == image_shape[2]
    if augment == "auto":
        if image_shape is None:
            return None, 1
        augment = "affine_turns" if is_square and may_add_classes else "affine"
    if not isinstance(augment, str):
        return augment, 1
    if image_shape is None:
        raise InvalidParameterError(
            f"augment={augment!r} turns and shears images, but X holds rows; give X as "
            "(n_samples, channels, height, width)."
        )
    if augment == "affine":
        return AffineRows(image_shape), 1
    if not is_square:
        raise InvalidParameterError(
            "augment='affine_turns' needs square images, but X has "
            f"{image_shape[1]} x {image_shape[2]} pixels; use 'affine'."
        )
    return AffineRows(image_shape), 4
