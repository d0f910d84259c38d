/** The scales of the official loaders, for an Augmentation. */
export const OFFICIAL_SCALES = { scaleMin: 0.5, scaleMax: 2, scaleStep: 0.1 } as const;
