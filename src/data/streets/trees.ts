/** Trees, bushes and the distant skyline. */
import type { Draws } from '../../random/draws.js';
import { project, projectX, projectY } from './camera.js';
import type { Surface } from './canvas.js';
import { BUILDING, TREE } from './classes.js';
import { between, chance, drab, foliage, times } from './colour.js';
import { TILE } from './noise.js';
import { surface, type Thing } from './thing.js';

interface Blob {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  readonly surface: Surface;
}

/** A cluster of ragged discs, lighter towards the top. */
function drawCrown(draws: Draws, middle: number, spread: number, rise: number): Blob[] {
  const colour = foliage(draws);
  const holes = between(draws, 0.1, 0.45);
  const blobs: Blob[] = [];
  const count = 7 + draws.integer(8);
  for (let i = 0; i < count; i++) {
    const angle = between(draws, 0, 2 * Math.PI);
    const out = Math.sqrt(draws.uniform()) * 0.75;
    const up = Math.sin(angle) * out;
    blobs.push({
      x: Math.cos(angle) * out * spread,
      y: middle + up * rise,
      radius: between(draws, 0.3, 0.6) * Math.min(spread, rise),
      surface: {
        ...surface(
          times(colour, 0.75 + 0.4 * up + (0.15 * i) / count),
          draws.integer(TILE),
          0.75,
          14,
        ),
        topLight: 1.2,
        bottomLight: 0.6,
        holes: i < 3 ? 0 : holes,
      },
    });
  }
  return blobs;
}

/** @param kind a tree with a trunk, or a bush without one. */
export function tree(draws: Draws, x: number, z: number, kind: 'tree' | 'bush'): Thing {
  const bush = kind === 'bush';
  const trunk = bush ? 0 : between(draws, 1.6, 4);
  const rise = bush ? between(draws, 0.4, 1) : between(draws, 1.2, 3.5);
  const spread = rise * (bush ? between(draws, 1, 2.5) : between(draws, 0.7, 1.3));
  const thick = between(draws, 0.1, 0.3);
  const bark = surface(drab(draws, 0.08, 0.35), draws.integer(TILE), 0.4, 25);
  const bare = !bush && chance(draws, 0.08);
  const blobs = bare ? [] : drawCrown(draws, trunk + rise * 0.8, spread, rise);
  const lean = between(draws, -0.3, 0.3);
  const twigs = bare ? 14 : 3;
  const forks = Array.from({ length: twigs }, () => between(draws, -1, 1));
  return {
    z,
    shade(mask) {
      if (!bush) mask.wall(x - thick, z, x + thick, z, trunk + rise * 0.5);
      mask.disc(x, z, trunk + rise * 0.7, bare ? spread * 0.3 : spread * 0.8);
    },
    paint({ canvas, camera }) {
      if (!bush) {
        const top = trunk + rise;
        const half = Math.max(thick, (0.5 * z) / camera.focal);
        const stem = [x - half, 0, z, x + half, 0, z];
        stem.push(x + lean + half * 0.6, top, z, x + lean - half * 0.6, top, z);
        canvas.polygon(project(camera, stem), bark, TREE, z);
        for (const [i, fork] of forks.entries()) {
          const from = trunk * 0.8 + (rise * i) / twigs;
          const reach = fork * spread;
          const twig = [x, from, z, x + reach, from + rise * 0.6, z];
          twig.push(x + reach + half, from + rise * 0.6, z, x + half, from - 0.1, z);
          canvas.polygon(project(camera, twig), bark, TREE, z);
        }
      }
      const scale = camera.focal / z;
      for (const blob of blobs) {
        const column = projectX(camera, x + blob.x + lean, z);
        const row = Math.min(projectY(camera, blob.y, z), projectY(camera, blob.radius * 0.8, z));
        const radius = blob.radius * scale;
        canvas.ellipse(column, row, radius * 1.15, radius, blob.surface, TREE, z);
      }
    },
  };
}

/** Roofs and treetops that close off the street in the distance. */
export function skyline(draws: Draws): Thing {
  const blocks = Array.from({ length: 34 }, () => {
    const leafy = chance(draws, 0.5);
    return {
      leafy,
      x: between(draws, -150, 150),
      half: between(draws, 4, 13),
      top: between(draws, 3, leafy ? 9 : 16),
      surface: surface(
        leafy ? foliage(draws) : drab(draws, 0.2, 0.6),
        draws.integer(TILE),
        0.4,
        0.6,
      ),
    };
  });
  const z = 190;
  return {
    z,
    paint({ canvas, camera }) {
      for (const { leafy, x, half, top, surface } of blocks) {
        const outline = [x + half, 0, z, x - half, 0, z];
        if (leafy) {
          for (let i = 0; i <= 8; i++) {
            const angle = Math.PI * (1 - i / 8);
            outline.push(x + half * Math.cos(angle), top * Math.sin(angle), z);
          }
        } else {
          outline.push(x - half, top, z, x + half, top, z);
        }
        // Without the bend, which at this distance would move the skyline out of the picture.
        const points = project({ ...camera, bend: 0 }, outline);
        canvas.polygon(points, surface, leafy ? TREE : BUILDING, z);
      }
    },
  };
}
