"""Grad-CAM: the regions on which an answer depends in the deepest layer (Selvaraju+ 2017, arXiv:1610.02391)."""

from captum.attr import LayerAttribution, LayerGradCam
from torch import Tensor, nn

from tuningfork.explain.saliency import Target, scale_to_unit


def gradcam(model: nn.Module, layer: nn.Module, inputs: Tensor, conditions: Tensor, target: Target) -> Tensor:
    """Return the class-activation map of each stamp, by captum.

    Parameters
    ----------
    model : Module
        In evaluation mode.
    layer : Module
        The part of `model` whose output (K, F, h, w) is explained.
    inputs : Tensor
        (K, B, S, S) network inputs.
    conditions : Tensor
        (K, C)
    target : callable
        From a prediction to (K,) numbers.

    Returns
    -------
    Tensor
        (K, S, S) float32 in [0, 1]: the features weighted with their mean derivative, the positive part, enlarged to
        the size of the stamp.
    """

    def answer(images: Tensor) -> Tensor:
        return target(model(images, conditions))

    # The weights need no derivatives, so only an input that does keeps the graph.
    maps = LayerGradCam(answer, layer).attribute(inputs.detach().requires_grad_(), relu_attributions=True)
    enlarged = LayerAttribution.interpolate(maps.detach().float(), inputs.shape[-2:], "bilinear")
    return scale_to_unit(enlarged[:, 0])[0]
