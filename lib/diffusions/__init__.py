"""Stochastic continuous time on the diagonal network: the stochastic gradient flow, label noise.

Behind the door: ``one_step``, the noise of one step of SGD; ``step_sizes``, which steps the theorem allows;
``first_order``, the limit to first order in γ; ``stationary``, label noise that never stops; ``controls``,
Langevin and noise without structure. Workshop: the paths.
"""

from lib.diffusions._diffusions import (
    DiffusionRun,
    label_noise_flow,
    neuron_euler_maruyama,
    stochastic_gradient_flow,
)

__all__ = ["DiffusionRun", "label_noise_flow", "neuron_euler_maruyama", "stochastic_gradient_flow"]
