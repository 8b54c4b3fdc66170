"""The plane of the first picture: lengths are true, level sets pass where they must."""

import numpy as np
import pytest

from lib import figures
from lib.pages import first_picture
from lib.potentials import HyperbolicEntropy

VERTEX, LEAST_NORM = np.array([1.0, 0.0, 0.0]), np.array([2.0, 1.2, 1.2]) / 3.44


def test_lengths_on_paper_are_lengths_in_space():
    points = np.array([[0.3, 0.2, 0.2], [-0.5, 0.7, 0.7]])
    on_paper = first_picture.to_plane(points)
    assert np.linalg.norm(on_paper[0] - on_paper[1]) == pytest.approx(np.linalg.norm(points[0] - points[1]))


def test_level_set_passes_through_its_point_and_has_one_level():
    through, log_alpha = np.array([0.7, 0.25, 0.25]), np.log(0.1)
    on_paper = first_picture.level_set(log_alpha, through)
    phi = HyperbolicEntropy(log_alpha)
    levels = phi.value(on_paper @ first_picture.AXES)
    assert levels == pytest.approx(float(phi.value(through)), rel=1e-12)
    # Between two neighbouring rays the curve deviates from the point by less than its own spacing.
    spacing = np.linalg.norm(np.diff(on_paper, axis=0), axis=1).max()
    assert np.linalg.norm(on_paper - first_picture.to_plane(through), axis=1).min() < spacing


@pytest.mark.parametrize("noisy", [False, True])
def test_both_panels_are_drawn_and_described(noisy):
    limits = np.linspace(0.1, 0.2, 200)[:, None] * np.array([-1.2, 1.0, 1.0]) + VERTEX
    cloud = (limits, np.full((200, 3), -2.0)) if noisy else (np.empty((0, 3)), np.empty((0, 3)))
    path = np.linspace(0, 1, 50)[:, None] * limits[-1]
    fig, (above, below) = figures.canvas(5.8, rows=2, heights=[4.1, 1.3])
    first_picture.draw_plane(
        above,
        log_alpha=-1.5,
        path=path,
        limits=cloud[0],
        log_alpha_effective=cloud[1],
        vertex=VERTEX,
        least_norm=LEAST_NORM,
        **({"sgd": limits[:5], "descent": limits[-1]} if noisy else {}),
    )
    ends, steps = {0.0: limits[-1:, 1], 0.4: limits[:, 1]}, {0.4: limits[:5, 1]}
    first_picture.draw_strip(
        below,
        ends,
        current=0.4,
        flow_end=limits[-1, 1],
        least_norm_end=LEAST_NORM[1],
        sgd=steps,
        descent={0.4: [0.9]},
    )
    digest = figures.show(fig, "It touches.").digest
    assert ("stochastic flow: 100 points" in digest) == noisy
    assert ("SGD ends: 1 point" in digest) == noisy
    assert "ends at γ = 0.4: median 0.150, middle 90 % from 0.105 to 0.195" in digest
    assert "SGD at γ = 0.4: median 0.101" in digest
    assert "gradient descent at γ = 0.4: median 0.900" in digest  # beyond the strip, and said all the same


def test_sgd_that_never_settles_leaves_no_mark():
    path = np.linspace(0, 1, 50)[:, None] * VERTEX
    _, ax = figures.canvas(4.1)
    empty = {"limits": np.empty((0, 3)), "log_alpha_effective": np.empty((0, 3)), "sgd": np.empty((0, 3))}
    first_picture.draw_plane(ax, log_alpha=-1.5, path=path, vertex=VERTEX, least_norm=LEAST_NORM, **empty)
    assert not [line for line in ax.lines if str(line.get_label()).startswith("SGD")]
