"""The losses of the methods compared with, in PyTorch: golden/README.md, sections 4 and 5.

Maps are [N, C, H, W]; `params` holds numbers by their names in the tests' and the bench's plans. For
skd_holistic the discriminator: src/losses/adversarial/discriminator.ts has the formulas.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import spectral_norm


def unit(x, dim):
    return F.normalize(x, dim=dim)


def attention_map(x):
    return unit(x.pow(2).mean(1).flatten(1), 1)


def at(student, teacher, params):
    return (attention_map(student) - attention_map(teacher)).pow(2).mean()


def fitnet(student, teacher, params, weight):
    return F.mse_loss(F.conv2d(student, weight), teacher)


def skd_pairwise(student, teacher, params):
    def gram(x):
        rows = unit(F.max_pool2d(x, 2, ceil_mode=True), 1).flatten(2)
        return rows.transpose(1, 2) @ rows

    return F.mse_loss(gram(student), gram(teacher))


def ifvd(student, teacher, params, labels):
    maps = F.interpolate(labels[:, None], student.shape[2:], mode="nearest")

    def variation(x):
        centre = x
        for label in range(params["classes"]):
            mask = (maps == label).to(x.dtype)
            mean = (mask * x).sum((2, 3), keepdim=True) / (mask.sum((2, 3), keepdim=True) + 1e-6)
            centre = (1 - mask) * centre + mask * mean
        return F.cosine_similarity(x, centre, dim=1)

    return F.mse_loss(variation(student), variation(teacher))


def cwd(student, teacher, params, weight=None):
    images, channels = student.shape[:2]
    own = student if weight is None else F.conv2d(student, weight)
    tau = params["temperature"]
    log_q = F.log_softmax(own.flatten(2) / tau, dim=2)
    log_p = F.log_softmax(teacher.flatten(2) / tau, dim=2)
    kl = F.kl_div(log_q, log_p, reduction="sum", log_target=True)
    return tau**2 * kl / (images * channels)


def dsd_psd(students, teachers, params):
    def residuals(levels):
        maps = [attention_map(level) for level in levels]
        pairs = [(m, n) for m in range(len(maps)) for n in range(m + 1, len(maps))]
        return [unit(maps[n] - maps[m], 1) for m, n in pairs]

    pairs = list(zip(residuals(students), residuals(teachers)))
    return sum(F.mse_loss(own, other) for own, other in pairs) / len(pairs)


def dsd_csd(student, teacher, params):
    def gram(x):
        rows = F.softmax(F.avg_pool2d(x, 2, ceil_mode=True).flatten(2) / params["temperature"], 2)
        return rows @ rows.transpose(1, 2)

    return F.mse_loss(gram(student), gram(teacher))


def channel_rows(student, teacher):
    """Of the projected student: pooled already."""
    rows = unit(student.flatten(2), 2)
    return rows, unit(F.avg_pool2d(teacher, 4, ceil_mode=True).flatten(2), 2)


def batch_mean_kl(own, wanted):
    target = F.log_softmax(wanted, dim=1)
    return F.kl_div(F.log_softmax(own, dim=1), target, reduction="batchmean", log_target=True)


def minibatch_channel(rows, other, params):
    tau, images = params["temperature"], len(rows)
    pairs = [(i, j) for i in range(images) for j in range(images)]
    kls = [batch_mean_kl(rows[i] @ rows[j].T / tau, other[i] @ other[j].T / tau) for i, j in pairs]
    return sum(kls) / images**2


def memory_channel(rows, other, params, queue):
    """The queue is as the enqueued batch leaves it."""
    tau, tk = params["temperature"], params["kdTemperature"]
    bank = unit(queue, 1)
    return tk**2 * batch_mean_kl(*[(x.flatten(0, 1) @ bank.T) / tau / tk for x in (rows, other)])


def channel(student, teacher, params, queue):
    rows, other = channel_rows(student, teacher)
    memory = memory_channel(rows, other, params, queue)
    return minibatch_channel(rows, other, params) + 0.1 * memory + 100 * F.mse_loss(rows, other)


class SelfAttention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.query_conv = nn.Conv2d(channels, channels // 8, 1)
        self.key_conv = nn.Conv2d(channels, channels // 8, 1)
        self.value_conv = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        query, key, value = [
            conv(x).flatten(2).transpose(1, 2)
            for conv in (self.query_conv, self.key_conv, self.value_conv)
        ]
        out = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return self.gamma * out.transpose(1, 2).reshape(x.shape) + x


class Discriminator(nn.Module):
    def __init__(self, classes, width):
        super().__init__()

        def down(inputs, outputs):
            conv = spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, 1))
            return nn.Sequential(conv, nn.LeakyReLU(0.1))

        self.l1 = down(classes, width)
        self.l2 = down(width, 2 * width)
        self.l3 = down(2 * width, 4 * width)
        self.l4 = down(4 * width, 8 * width)
        self.attn1 = SelfAttention(4 * width)
        self.attn2 = SelfAttention(8 * width)
        self.last = nn.Sequential(nn.Conv2d(8 * width, 1, 4))
        self.preprocess_additional = nn.BatchNorm2d(classes)

    def forward(self, x):
        x = self.l3(self.l2(self.l1(self.preprocess_additional(x))))
        return self.last(self.attn2(self.l4(self.attn1(x))))


LOSSES = {
    "at": at,
    "fitnet": fitnet,
    "skd_pairwise": skd_pairwise,
    "ifvd": ifvd,
    "cwd": cwd,
    "dsd_csd": dsd_csd,
    "channel": channel,
}
