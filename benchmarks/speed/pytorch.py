"""PyTorch's sides: ResNet-50 with one linear layer for 40 attributes, with PyTorch's fastest settings for a CPU."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch._inductor.config as inductor
from torch import nn

from speed.machine import check_compiler, cores

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Bottleneck(nn.Module):
    """ResNet's bottleneck block: convolutions of 1 x 1, 3 x 3 and 1 x 1, beside a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *_convolution(channels, width, 1),
            nn.ReLU(inplace=True),
            *_convolution(width, width, 3, stride),
            nn.ReLU(inplace=True),
            *_convolution(width, 4 * width, 1),
        )
        same = stride == 1 and channels == 4 * width
        self.shortcut = nn.Identity() if same else nn.Sequential(*_convolution(channels, 4 * width, 1, stride))
        self.end = nn.ReLU(inplace=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.end(self.branch(images) + self.shortcut(images))


def resnet50(outputs: int = 40) -> nn.Module:
    """Builds ResNet-50 with pooling and one linear layer, random weights."""
    layers: list[nn.Module] = [*_convolution(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for block in range(blocks):
            layers.append(Bottleneck(channels, width, 2 if stage and not block else 1))
            channels = 4 * width
    head = OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc=nn.Linear(channels, outputs))
    return nn.Sequential(*layers, *head.values())


def inference(precision: str, batch_size: int, image_size: tuple[int, int]) -> Callable[[], object]:
    """Builds the forward pass: compiled, frozen, channels-last, a thread for each core.

    Args:
        precision: "float32", or "bfloat16" for weights and feature maps of 16 bits.
        batch_size: Images in a call.
        image_size: Height and width in pixels.
    """
    dtype = PRECISIONS[precision]
    _prepare(freezing=True)
    model = resnet50().eval().to(dtype=dtype, memory_format=torch.channels_last)
    images = torch.rand(batch_size, 3, *image_size).to(dtype=dtype, memory_format=torch.channels_last)
    compiled = torch.compile(model)

    def call() -> object:
        with torch.no_grad():
            return compiled(images)

    return call


@dataclass
class Step:
    """A training step. On a GPU, a call puts it into the device's queue, and `wait` returns when it is done."""

    step: Callable[[], torch.Tensor]
    loss: torch.Tensor | None = None

    def __call__(self) -> None:
        self.loss = self.step()

    def wait(self) -> None:
        if self.loss is not None and self.loss.is_cuda:
            torch.cuda.synchronize()


def training(precision: str, batch_size: int, image_size: tuple[int, int], device: str = "cpu") -> Step:
    """Builds a training step: forward pass and loss compiled, channels-last, fused AdamW.

    Args:
        precision: "float32", or "bfloat16" for mixed precision by autocast.
        batch_size: Images in a step.
        image_size: Height and width in pixels.
        device: "cpu" or "cuda".
    """
    _prepare(freezing=False)
    model = resnet50().train().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.05, fused=True)
    images = torch.rand(batch_size, 3, *image_size).to(device, memory_format=torch.channels_last)
    labels = torch.randint(0, 2, (batch_size, 40)).float().to(device)

    @torch.compile
    def loss_of(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(images)
        return nn.functional.binary_cross_entropy_with_logits(logits.float(), labels)

    def step() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(images, labels)
        loss.backward()
        optimizer.step()
        return loss

    return Step(step)


def _convolution(channels: int, filters: int, size: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv2d(channels, filters, size, stride, size // 2, bias=False)
    return convolution, nn.BatchNorm2d(filters)


def _prepare(freezing: bool) -> None:
    check_compiler()
    torch.manual_seed(0)
    torch.set_num_threads(cores())
    inductor.freezing = freezing
