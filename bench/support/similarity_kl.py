"""The relational losses in PyTorch as autograd computes them, whole matrices: golden/README.md, 4."""

import torch
import torch.nn.functional as F


def rows_kl(student_rows, student_keys, teacher_rows, teacher_keys, temperature):
    """Mean over rows of KL(teacher || student) of the softmax over similarities."""
    with torch.no_grad():
        target = F.softmax(teacher_rows @ teacher_keys.T / temperature, dim=1)
    log_q = F.log_softmax(student_rows @ student_keys.T / temperature, dim=1)
    return F.kl_div(log_q, target, reduction="batchmean")


def minibatch_pixel(student, teacher, temperature):
    """Unit rows of each image; every ordered pair of images."""
    images = len(student)
    pairs = [(i, j) for i in range(images) for j in range(images)]
    losses = (rows_kl(student[i], student[j], teacher[i], teacher[j], temperature) for i, j in pairs)
    return sum(losses) / images**2
