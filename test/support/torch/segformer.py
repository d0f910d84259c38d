"""SegFormer with the names of CIRKD's models/segformer.py; networks.py builds it.

Source: Xie et al., "SegFormer" (NeurIPS 2021), sections 3.1 and 3.2, tables 6 and 7.
"""
import torch
from torch import nn
from torch.nn import functional

WIDE = (64, 128, 320, 512)
# Channels and blocks of the stages, channels of the feature.
SIZES = {
    "mit_b0": ((32, 64, 160, 256), (2, 2, 2, 2), 256),
    "mit_b1": (WIDE, (2, 2, 2, 2), 256),
    "mit_b2": (WIDE, (3, 4, 6, 3), 768),
    "mit_b3": (WIDE, (3, 4, 18, 3), 768),
    "mit_b4": (WIDE, (3, 8, 27, 3), 768),
    "mit_b5": (WIDE, (3, 6, 40, 3), 768),
}
HEADS = (1, 2, 5, 8)
REDUCTIONS = (8, 4, 2, 1)
EXPANSION = 4
LAST_DROP_PATH = 0.1


def tokens(x):
    """[N, C, h, w] -> [N, h w, C]; free of copies in channels_last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def as_map(x, size):
    """[N, h w, C] -> [N, C, h, w] in channels_last."""
    return x.unflatten(1, size).permute(0, 3, 1, 2)


class DropPath(nn.Dropout):
    """Drops a branch for whole images."""

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        return x * functional.dropout(x.new_ones(len(x), 1, 1), self.p)


class PatchEmbedding(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride):
        super().__init__()
        self.proj = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x):
        x = self.proj(x)
        return self.norm(tokens(x)), x.shape[2:]


class Attention(nn.Module):
    """With PyTorch's fused kernel, which has no whole matrix of scores either."""

    def __init__(self, channels, heads, reduction):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, 2 * channels)
        self.proj = nn.Linear(channels, channels)
        self.sr = None
        if reduction > 1:
            self.sr = nn.Conv2d(channels, channels, reduction, reduction)
            self.norm = nn.LayerNorm(channels)

    def forward(self, x, size):
        reduced = x if self.sr is None else self.norm(tokens(self.sr(as_map(x, size))))
        split = [
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.q(x), *self.kv(reduced).chunk(2, dim=2))
        ]
        out = functional.scaled_dot_product_attention(*split)
        return self.proj(out.transpose(1, 2).flatten(2))


class DepthwiseConvolution(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x, size):
        return tokens(self.dwconv(as_map(x, size)))


class FeedForward(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc1 = nn.Linear(channels, EXPANSION * channels)
        self.dwconv = DepthwiseConvolution(EXPANSION * channels)
        self.fc2 = nn.Linear(EXPANSION * channels, channels)

    def forward(self, x, size):
        return self.fc2(functional.gelu(self.dwconv(self.fc1(x), size)))


class Block(nn.Module):
    def __init__(self, channels, heads, reduction, drop_path):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = Attention(channels, heads, reduction)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = FeedForward(channels)

    def forward(self, x, size):
        x = x + self.drop_path(self.attn(self.norm1(x), size))
        return x + self.drop_path(self.mlp(self.norm2(x), size))


class Projection(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.proj = nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.proj(tokens(x)).unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


class SegFormer(nn.Module):
    """forward: image [N, 3, H, W] to logits [N, classes, h, w], None and the feature; h = ceil(H / 4)."""

    auxlayer = None

    def __init__(self, backbone, num_classes):
        super().__init__()
        channels, blocks, self.feature_channels = SIZES[backbone]
        inputs = (3, *channels[:3])
        for stage in range(4):
            kernel, stride = (7, 4) if stage == 0 else (3, 2)
            embedding = PatchEmbedding(inputs[stage], channels[stage], kernel, stride)
            self.add_module(f"patch_embed{stage + 1}", embedding)
        rates = iter(torch.linspace(0, LAST_DROP_PATH, sum(blocks)).tolist())
        for stage, count in enumerate(blocks):
            made = (
                Block(channels[stage], HEADS[stage], REDUCTIONS[stage], next(rates))
                for _ in range(count)
            )
            self.add_module(f"block{stage + 1}", nn.ModuleList(made))
            self.add_module(f"norm{stage + 1}", nn.LayerNorm(channels[stage], eps=1e-6))
        for stage in (3, 2, 1, 0):
            projection = Projection(channels[stage], self.feature_channels)
            self.add_module(f"linear_c{stage + 1}", projection)
        joined = 4 * self.feature_channels
        self.linear_fuse = nn.Sequential(
            nn.Conv2d(joined, self.feature_channels, 1),
            nn.BatchNorm2d(self.feature_channels),
            nn.ReLU(inplace=True),
        )
        self.linear_pred = nn.Conv2d(self.feature_channels, num_classes, 1)

    def forward(self, x):
        maps = []
        for stage in range(1, 5):
            x, size = self.get_submodule(f"patch_embed{stage}")(x)
            for block in self.get_submodule(f"block{stage}"):
                x = block(x, size)
            x = as_map(self.get_submodule(f"norm{stage}")(x), size)
            maps.append(x)
        size = maps[0].shape[2:]
        spread = [
            functional.interpolate(
                self.get_submodule(f"linear_c{stage}")(maps[stage - 1]),
                size,
                mode="bilinear",
                align_corners=False,
            )
            for stage in (4, 3, 2, 1)
        ]
        feature = self.linear_fuse(torch.cat(spread, dim=1))
        return self.linear_pred(feature), None, feature
