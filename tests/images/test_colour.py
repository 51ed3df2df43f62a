"""Local colour transfer, against least squares pixel by pixel."""

import numpy as np
from scipy import ndimage

from neural_style.images.colour import recolour_locally

HEIGHT, WIDTH = 32, 40


def make(seed=0):
    random = np.random.RandomState(seed)
    content = ndimage.gaussian_filter(random.normal(0, 300, (1, 3, HEIGHT, WIDTH)), (0, 0, 1, 1)).astype(np.float32)
    weight = np.ones((HEIGHT, WIDTH), np.float32)
    weight[10:20, 12:30] = 0
    return content, weight


def test_it_is_weighted_least_squares_with_a_ridge():
    content, weight = make()
    painted = make(1)[0]
    weight *= 0.9
    found = recolour_locally(content, painted, weight)
    distances = np.zeros((HEIGHT, WIDTH))
    ridge = 0.02 * content[0].astype(float).var(axis=(1, 2)).mean()
    for row, column in [(15, 20), (12, 13), (18, 27), (16, 14)]:
        distances[:] = 0
        distances[row, column] = 1
        near = (ndimage.gaussian_filter(distances, 2.0) + 1e-3 / weight.size) * weight
        seen, paint = (array[0].reshape(3, -1).T.astype(float) for array in (content, painted))
        share = near.reshape(-1, 1) / near.sum()
        mean, average = (share * seen).sum(0), (share * paint).sum(0)
        rows = np.vstack([np.sqrt(share) * (seen - mean), np.sqrt(ridge) * np.eye(3)])
        maps = np.linalg.lstsq(rows, np.vstack([np.sqrt(share) * (paint - average), np.zeros((3, 3))]), rcond=None)[0]
        expected = average + (content[0, :, row, column] - mean) @ maps
        np.testing.assert_allclose(found[0, :, row, column], expected, rtol=1e-3, atol=0.05)


def test_a_hole_gets_the_colours_around_it_and_the_rest_stays():
    content, weight = make()
    left, right = np.array([0.6, 0.3, -0.5]), np.array([-0.4, 0.8, 0.9])
    painted = content * left.reshape(3, 1, 1) + 30
    painted[..., 20:] = content[..., 20:] * right.reshape(3, 1, 1) - 10
    whole = painted.copy()
    painted[..., weight == 0] = 9999
    found = recolour_locally(content, painted.astype(np.float32), weight)
    assert (found[..., weight == 1] == painted[..., weight == 1].astype(np.float32)).all()
    error = np.abs(found - whole)[0].mean(0)
    assert error[12:18, 12:15].mean() < 6 and error[12:18, 27:30].mean() < 6 < np.abs(whole).mean()


def test_a_plain_content_and_no_paint_at_all_are_finite():
    content, weight = make()
    assert np.isfinite(recolour_locally(content * 0, content, weight)).all()
    assert np.isfinite(recolour_locally(content, content, weight * 0)).all()
