"""The paths behind ``lib.diffusions``: blocks of replicas in (ν, s), stepped by Euler–Maruyama.

Notation and equations stand in ``lib.diffusions``. ``Dual`` holds a block in dual coordinates, ``Neurons``
steps the same equation in the weights, with the same Brownian path; ``Energy`` follows the identity of
``DiffusionRun.energy_defect``. Everything is measured at the left point of a step: L in s, L in the noise,
and the same r in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.ensembles import Recorder
from lib.flows import remaining_loss_integral
from lib.potentials import HyperbolicEntropy, scaled_sinh

__all__: list[str] = []  # for ``lib.diffusions`` only

CHUNK = 4096  # normal numbers drawn at once from one replica's stream


@dataclass(frozen=True)
class Plan:
    X: np.ndarray
    y: np.ndarray
    log_alpha: np.ndarray
    step_size: float
    dt: float
    at: np.ndarray
    noise: np.ndarray  # δ² at every step
    observe: dict
    sampling: bool = True  # whether L is part of the noise
    positive: bool = False
    exact: bool = False
    noise_scale: float = 1.0
    exponent_scale: float = 1.0
    substeps: int = 1  # normal numbers summed to one step
    noise_point: float = 0.0  # where in a step the size of the noise is taken; ``Neurons`` only
    interpolator: np.ndarray | None = None


def run_block(kind, plan, drawn):
    """Run one block of replicas: their state at the recorded instants and what is left at the end."""
    path, recorder = kind(plan, len(drawn)), Recorder(plan.observe)
    last, due, n = int(plan.at[-1]), set(plan.at.tolist()), len(plan.y)
    chunk, fine = max(1, max(16, CHUNK // n) // plan.substeps), plan.substeps
    with np.errstate(all="ignore"):
        path.read()
        energy = None if plan.interpolator is None else Energy(plan, path)
        for first in range(0, last, chunk):
            count = min(chunk, last - first)
            normals = np.stack([stream.standard_normal((count * fine, n)) for stream in drawn], axis=1)
            if fine > 1:
                normals = normals.reshape(count, fine, len(drawn), n).sum(1) / np.sqrt(fine)
            for k, normal in enumerate(normals, first):
                if k in due:
                    recorder.take(path.beta, path.loss, path.loss_integral)
                if energy:
                    energy.add(plan.noise[k])
                path.step(normal, plan.noise[k])
                path.read()
            path.brownian += np.sqrt(plan.dt) * normals.sum(0)
        recorder.take(path.beta, path.loss, path.loss_integral)
        return path.result() | recorder.result() | (energy.result() if energy else {})


class Dual:
    """A block's paths in (ν, s), and β, r, L at their present state."""

    def __init__(self, plan, replicas):
        n, d = plan.X.shape
        self.plan, self.n = plan, n
        self.XT, self.twice = np.ascontiguousarray(plan.X.T), 2 * plan.X
        self.target = np.tile(plan.y, (replicas, 1))
        self.nu, self.residual, self.square, self.kick = np.zeros((4, replicas, n))
        self.brownian, self.exposure = np.zeros((2, replicas, n))
        self.log_square, self.z, self.plus, self.minus = np.empty((4, replicas, d))
        self.beta, self.beta_sum = np.empty((replicas, d)), np.zeros((replicas, d))
        self.s, self.loss_integral, self.variation = np.zeros((3, replicas))
        self.D = (plan.X**2).mean(0)
        # e^{2 log α + 2z} − e^{2 log α − 2z} cancels when α² exceeds β by far; ‖β‖ is at least ‖y‖/‖X‖
        small = np.linalg.norm(plan.y) / max(np.linalg.norm(plan.X, 2), 1e-300)
        self.cancels = np.exp(min(2 * plan.log_alpha.max(), 700.0)) > 100 * small

    def shrink(self):
        """log α_s² = 2 log α − 4γDs into ``log_square``; with the exact covariance its own exponent."""
        plan = self.plan
        if plan.exact:
            np.dot(self.exposure, plan.X**2, out=self.log_square)
            self.log_square *= -plan.exponent_scale * plan.step_size / self.n
        else:
            exponent = -4 * plan.exponent_scale * plan.step_size * self.D
            np.multiply(self.s[:, None], exponent, out=self.log_square)
        self.log_square += 2 * plan.log_alpha

    def read(self):
        self.shrink()
        np.dot(self.nu, self.twice, out=self.z)
        np.add(self.log_square, self.z, out=self.plus)
        if self.plan.positive:
            np.exp(self.plus, out=self.beta)
        elif self.cancels:
            self.beta[:] = scaled_sinh(self.log_square, self.z)
        else:
            np.subtract(self.log_square, self.z, out=self.minus)
            np.exp(self.plus, out=self.plus)
            np.exp(self.minus, out=self.minus)
            np.subtract(self.plus, self.minus, out=self.beta)
        self.fit()

    def fit(self):
        np.dot(self.beta, self.XT, out=self.residual)
        np.subtract(self.residual, self.target, out=self.residual)
        self.loss = np.vecdot(self.residual, self.residual) / (4 * self.n)

    def step(self, normal, noise):
        """Euler–Maruyama: every coefficient at the left point."""
        plan, h = self.plan, self.plan.dt
        level = self.loss + noise if plan.sampling else np.full(len(self.s), noise)
        size = plan.noise_scale * np.sqrt(plan.step_size * h / self.n)
        if plan.exact:
            np.square(self.residual, out=self.square)
            self.square += 4 * noise
            np.multiply(np.sqrt(self.square), size * normal, out=self.kick)
            self.exposure += h * self.square
        else:
            np.multiply(normal, (2 * size * np.sqrt(level))[:, None], out=self.kick)
        self.variation += np.vecdot(self.kick, self.kick)
        np.multiply(self.residual, h / self.n, out=self.square)
        np.subtract(self.kick, self.square, out=self.kick)
        np.add(self.nu, self.kick, out=self.nu)
        self.s += h * level
        self.loss_integral += h * self.loss
        if not plan.sampling:
            self.beta_sum += self.beta

    def metric(self):
        """dβ/dz of the potential, over 4: w₊² + w₋² = √(β² + 4α_s⁴), or w²."""
        return self.beta if self.plan.positive else np.hypot(self.beta, 2 * np.exp(self.log_square))

    def result(self):
        plan = self.plan
        log_alpha = self.log_square / 2
        tail = remaining_loss_integral(plan.X, 4 * self.metric(), self.loss)
        found = {
            "beta": self.beta,
            "loss_integral": self.loss_integral,
            "loss_integral_tail": np.full_like(tail, np.inf) if plan.noise[-1] else tail,
            "log_alpha_effective": log_alpha,
            "dual": self.nu,
            "quadratic_variation": self.variation / (4 * plan.step_size * self.s),
        }
        if not plan.sampling:
            z = self.z / 2
            found["log_w"] = log_alpha + z if plan.positive else np.stack([log_alpha + z, log_alpha - z], 1)
            found["beta_mean"] = self.beta_sum / plan.at[-1]
            found["brownian"] = self.brownian
        return found


class Neurons(Dual):
    """The same equation stepped in the weights, (2, R, d)."""

    def __init__(self, plan, replicas):
        super().__init__(plan, replicas)
        self.w = np.tile(np.exp(plan.log_alpha), (2, replicas, 1))

    def read(self):
        self.shrink()
        np.subtract(self.w[0] ** 2, self.w[1] ** 2, out=self.beta)
        self.fit()

    def step(self, normal, noise):
        before = self.loss
        super().step(normal, noise)
        move = self.kick @ self.plan.X
        moved = self.w * np.stack([1 + move, 1 - move])
        if self.plan.noise_point:
            moved += self.plan.noise_point * self.late(moved, normal, noise, before)
        self.w = moved

    def late(self, moved, normal, noise, before):
        """The noise with its coefficient at the predicted end of the step, less that at its beginning."""
        plan = self.plan
        residual = (moved[0] ** 2 - moved[1] ** 2) @ self.XT - plan.y
        after = np.vecdot(residual, residual) / (4 * self.n)
        size = 2 * plan.noise_scale * np.sqrt(plan.step_size * plan.dt / self.n)
        push = size * (normal @ plan.X)
        there, here = (np.sqrt(level + noise)[:, None] * push for level in (after, before))
        return np.stack([moved[0] * there - self.w[0] * here, self.w[1] * here - moved[1] * there])

    def result(self):
        return super().result() | {"log_w": np.log(np.abs(self.w)).swapaxes(0, 1)}

    def metric(self):
        return (self.w**2).sum(0)


class Energy:
    """V and its predicted decrease along a block's paths (see ``DiffusionRun.energy_defect``)."""

    def __init__(self, plan, path):
        self.plan, self.path = plan, path
        self.start, self.gained = self.value(), np.zeros(len(path.s))

    def value(self):
        plan, path = self.plan, self.path
        phi = [HyperbolicEntropy(row / 2).value(plan.interpolator) for row in path.log_square]
        return np.array(phi) + path.metric().sum(-1) / 4 - path.nu @ plan.y / 2

    def add(self, noise):
        plan, path = self.plan, self.path
        sizes = path.metric() + np.hypot(plan.interpolator, 2 * np.exp(path.log_square))
        if plan.exact:
            shrinking = (path.residual**2 + 4 * noise) @ plan.X**2 / (4 * path.n)
        else:
            shrinking = path.D * (path.loss + noise)[:, None]
        self.gained += plan.step_size * plan.dt * np.vecdot(shrinking, sizes)

    def result(self):
        lost = self.start - self.value()
        return {
            "energy_defect": lost - 2 * self.path.loss_integral + self.gained,
            "energy_noise": self.gained,
        }
