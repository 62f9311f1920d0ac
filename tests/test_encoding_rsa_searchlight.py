"""Searchlights: neighbourhoods on grids and meshes, and a planted patch."""

import numpy as np
import pytest
import scipy.sparse
from scipy.spatial.distance import cdist

from encoding import (
    InputError,
    between_runs,
    compare_rdms,
    noise_precision,
    rdm,
    searchlight,
    surface_neighbours,
    volume_neighbours,
)
from encoding.rsa.noise import repeat_residuals


def test_voxels_within_the_radius_in_mm_on_a_skewed_grid():
    rng = np.random.default_rng(0)
    ijk = np.argwhere(rng.random((9, 8, 7)) < 0.6)
    affine = np.array([[2, 0.3, 0, -5], [0, 3, 0, 7], [0, 0.2, 1.5, 1], [0, 0, 0, 1.0]])
    mm = ijk @ affine[:3, :3].T + affine[:3, 3]
    found = volume_neighbours(ijk, affine, 4.03)
    np.testing.assert_array_equal(found.toarray(), cdist(mm, mm) <= 4.03)


def mesh(side=20):
    """Two flat sheets of triangles of 1 mm."""
    x, y = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    one = np.stack([x.ravel(), y.ravel(), np.zeros(side**2)], 1)
    c = np.arange(side**2).reshape(side, side)[:-1, :-1].ravel()
    lower, upper = (c, c + 1, c + side), (c + 1, c + side, c + side + 1)
    faces = np.concatenate([np.stack(lower, 1), np.stack(upper, 1)])
    # 0.5 mm above the first sheet in space, but not joined to it.
    above = one + np.array([0, 0, 0.5])
    return np.concatenate([one, above]), np.concatenate([faces, faces + side**2])


def test_neighbours_on_a_surface_follow_it_not_space():
    coordinates, faces = mesh()
    found = surface_neighbours(coordinates, faces, 13)
    assert (found.sum(1) == 13).all() and found.diagonal().all()
    assert not found[:400, 400:].nnz and not found[400:, :400].nnz
    middle = 10 * 20 + 10
    steps = np.abs(coordinates[found[[middle]].indices] - coordinates[middle])[:, :2].sum(1)
    assert steps.max() <= 3
    few = np.r_[middle, middle + 1, middle + 7, 450]
    measured = surface_neighbours(coordinates, faces, 13, vertices=few, radius=5.0).toarray()
    expected = np.zeros((4, 4), bool)
    expected[[0, 0, 1, 1, 2, 3], [0, 1, 0, 1, 2, 3]] = True
    np.testing.assert_array_equal(measured, expected)


@pytest.fixture(scope="module")
def planted():
    """A model's geometry in a ball of voxels, noise elsewhere; three repeats of twelve clips."""
    rng = np.random.default_rng(1)
    ijk = np.argwhere(np.ones((10, 10, 5), bool))
    inside = np.linalg.norm(ijk - [3, 3, 2], axis=1) <= 2
    signal = rng.standard_normal((12, 5))
    X = rng.standard_normal((3, 12, len(ijk)))
    X[:, :, inside] += 1.5 * signal @ rng.standard_normal((5, inside.sum()))
    return X, ijk, inside, rdm(signal, "euclidean")


@pytest.mark.parametrize(("distance", "shrink_to"), [("correlation", None),
                                                     ("crossnobis", "diagonal")])  # fmt: skip
def test_a_planted_patch_is_found(planted, distance, shrink_to):
    X, ijk, inside, model = planted
    near = volume_neighbours(ijk, np.diag([3.0, 3, 3, 1]), 5.0)
    runs = np.arange(12) % 3
    scores = searchlight(X, near, model, distance, shrink_to=shrink_to, runs=runs)
    assert scores.shape == (1, len(ijk))
    top = ijk[np.argmax(scores[0])]
    assert np.linalg.norm(top - [3, 3, 2]) <= 1.5
    away = np.linalg.norm(ijk - [3, 3, 2], axis=1) > 5
    assert scores[0, inside].mean() > 0.3 and abs(scores[0, away].mean()) < 0.1


def test_each_centre_is_what_its_channels_alone_give(planted):
    X, ijk, _, model = planted
    near = volume_neighbours(ijk, np.diag([3.0, 3, 3, 1]), 4.0)[[0, 77, 200]]
    runs = np.arange(12) % 4
    scores = searchlight(X, near, model, "crossnobis", "whitened-cosine", shrink_to="diagonal",
                         runs=runs)  # fmt: skip
    for centre in range(3):
        local = X[..., near[[centre]].indices]
        residuals, dof = repeat_residuals(local)
        brain = rdm(local, "crossnobis", noise=noise_precision(residuals, dof=dof))
        alone = compare_rdms(between_runs(model, runs), between_runs(brain, runs),
                             "whitened-cosine")  # fmt: skip
        assert abs(scores[0, centre] - alone) < 1e-10


def test_centres_without_a_pattern_are_nan_and_misfits_refused(planted):
    X, ijk, _, model = planted
    X = X[0].copy()
    X[4, :3] = 1.0
    near = scipy.sparse.lil_matrix((3, len(ijk)), dtype=bool)
    near[0, :3] = near[1, 5] = near[2, 5:9] = True
    scores = searchlight(X, near, model)
    np.testing.assert_array_equal(np.isnan(scores[0]), [True, True, False])
    with pytest.raises(InputError, match="over 500 targets"):
        searchlight(X[:, :9], near, model)
    with pytest.raises(InputError, match="axis of repeats"):
        searchlight(X, near, model, "crossnobis", shrink_to="diagonal")
    with pytest.raises(InputError, match="radius"):
        volume_neighbours(ijk, np.eye(4), 0)
