"""Random changes of images that keep their class."""

import math

import torch
import torch.nn.functional as F


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

    def __call__(self, X, generator):
        # (B, C * H * W) -> (B, C * H * W)
        return random_affine(X.unflatten(1, self.image_shape), generator).flatten(1)
