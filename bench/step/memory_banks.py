"""Memory banks as the official code keeps them: tensors, written image by image, class by class.

Source: CIRKD (CVPR 2022), section 3.3; golden/README.md, section 4, `memory_contrast`.
"""

import torch
import torch.nn.functional as F

IGNORED = 255


class MemoryBanks:
    def __init__(self, pixel, region, update_freq):
        """Queues [classes, rows, channels] of unit rows, full."""
        self.pixel, self.region = pixel, region
        self.pixel_ptr = torch.zeros(len(pixel), dtype=torch.long)
        self.region_ptr = torch.zeros(len(region), dtype=torch.long)
        self.update_freq = update_freq

    @torch.no_grad()
    def enqueue(self, teacher, labels, choose):
        """teacher [N, D, h, w], unit; labels [N, h, w]. `choose(n, take)`: entries of a permutation."""
        for rows, label in zip(teacher.flatten(2).transpose(1, 2), labels.flatten(1)):
            for number in label.unique().tolist():
                if number == IGNORED:
                    continue
                ids = (label == number).nonzero().squeeze(1)
                region = F.normalize(rows[ids].mean(dim=0), dim=0)
                self._write("region", number, region[None])
                take = min(len(ids), self.update_freq)
                pixels = rows[ids[choose(len(ids), take)]]
                self._write("pixel", number, F.normalize(pixels, dim=1))

    def _write(self, bank, number, rows):
        """A true ring, as `reference.ringWrap: ring` has it."""
        queue, pointers = getattr(self, bank), getattr(self, f"{bank}_ptr")
        slots = (pointers[number] + torch.arange(len(rows))) % queue.shape[1]
        queue[number, slots] = rows
        pointers[number] = (pointers[number] + len(rows)) % queue.shape[1]

    def sample(self, bank, wanted, choose):
        """`wanted` rows of each class, all classes' together."""
        queue = getattr(self, bank)
        return torch.cat([rows[choose(len(rows), min(wanted, len(rows)))] for rows in queue])
