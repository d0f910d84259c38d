/**
 * What is measured: a teacher's forward pass, two students, the network alone and the whole step; and a
 * teacher that comes as a graph.
 */
import { UsageError } from '../../services/cli/command.js';
import { PAPER_BANK_ROWS, type Workload } from '../../services/cli/bench/workload.js';

export type CaseKind = 'teacher' | 'network' | 'whole';

export interface StepCase {
  /** Of --cases. */
  readonly name: string;
  readonly kind: CaseKind;
  readonly title: string;
  readonly workload: Workload;
}

/** What may be smaller than the goals ask for, for a quick look. */
export interface CaseSize {
  readonly height: number;
  readonly width: number;
  readonly widthMultiplier: number;
  readonly bankRows: Workload['bankRows'];
}

export const GOAL_SIZE: CaseSize = {
  height: 256,
  width: 512,
  widthMultiplier: 1,
  bankRows: PAPER_BANK_ROWS,
};

/** DeepLabV3-ResNet-101 v1, the teacher of the CVPR 2022 paper, has 256. */
const TEACHER_CHANNELS = 256;
const CLASSES = 19;
const IMAGES = 2;
const GRAPH_CASE = 'graph';
/** Of torchvision's weights. */
const GRAPH_CLASSES = 21;

const TEACHER = {
  model: 'deeplabv3',
  backbone: 'resnet101',
  title: 'DeepLabV3-ResNet-101',
} as const;
const STUDENTS = [
  { model: 'deeplabv3', backbone: 'resnet18', title: 'DeepLabV3-ResNet-18' },
  { model: 'deeplab_mobile', backbone: 'mobilenetv2', title: 'DeepLabV3-MobileNetV2' },
] as const;

/**
 * SegFormers at stride 4, in the published widths. Of the student the network alone: at this stride the losses'
 * pairs of positions are 16 times as many, and PyTorch's matrices of them don't fit.
 */
const SEGFORMERS = [
  { kind: 'teacher', backbone: 'mit_b2', title: 'teacher forward, SegFormer-B2' },
  { kind: 'network', backbone: 'mit_b0', title: 'network step, SegFormer-B0' },
] as const;

/**
 * Cases of one group are measured in the same rounds: the rest of a step is a difference, and the
 * machine must not change between its two terms.
 */
export function caseGroups(size: CaseSize = GOAL_SIZE): StepCase[][] {
  const workload = ({ model, backbone }: Pick<Workload, 'model' | 'backbone'>) => ({
    ...{ model, backbone, variant: 'v1' as const, classes: CLASSES, images: IMAGES },
    ...{ ...size, teacherChannels: TEACHER_CHANNELS },
  });
  const teacher: StepCase = {
    name: 'teacher',
    kind: 'teacher',
    title: `teacher forward, ${TEACHER.title}`,
    workload: { ...workload(TEACHER), loss: 'labels' },
  };
  const students = STUDENTS.map((student): StepCase[] => [
    {
      name: `network-${student.backbone}`,
      kind: 'network',
      title: `network step, ${student.title}`,
      workload: { ...workload(student), loss: 'labels' },
    },
    {
      name: `whole-${student.backbone}`,
      kind: 'whole',
      title: `whole step, ${student.title}`,
      workload: { ...workload(student), loss: 'cirkd' },
    },
    {
      name: `whole-${student.backbone}-recompute`,
      kind: 'whole',
      title: `whole step with recompute, ${student.title}`,
      workload: { ...workload(student), loss: 'cirkd', recompute: true },
    },
  ]);
  const segformers = SEGFORMERS.map(({ kind, backbone, title }): StepCase[] => {
    const own = workload({ model: 'segformer', backbone });
    return [
      {
        name: `${kind}-${backbone}`,
        kind,
        title,
        workload: { ...own, widthMultiplier: 1, loss: 'labels' },
      },
    ];
  });
  return [[teacher], ...students, ...segformers];
}

/**
 * A teacher that comes as a graph beside this project's own kernels, on the same weights: torchvision's
 * DeepLabV3-ResNet-50, exported to ONNX by PyTorch and run by onnxruntime.
 */
export function graphCase(size: Omit<CaseSize, 'widthMultiplier'>): StepCase {
  return {
    name: GRAPH_CASE,
    kind: 'teacher',
    title: "teacher forward, torchvision's DeepLabV3-ResNet-50",
    workload: {
      ...{ model: 'torchvision_deeplabv3', backbone: 'resnet50_plain', variant: 'v1' },
      ...{ ...size, widthMultiplier: 1, classes: GRAPH_CLASSES, images: IMAGES },
      ...{ loss: 'labels', teacherChannels: TEACHER_CHANNELS },
    },
  };
}

/** Throws UsageError on a name that no case has. */
export function chooseCases(groups: readonly StepCase[][], names: readonly string[]): StepCase[][] {
  const known = groups.flat().map(({ name }) => name);
  for (const name of names) {
    if (!known.includes(name)) {
      throw new UsageError(`--cases: ${name} given, wanted some of ${known.join(', ')}`);
    }
  }
  return groups
    .map((group) => group.filter(({ name }) => names.includes(name)))
    .filter((group) => group.length > 0);
}

/** Measured beside this project's own kernels, not beside PyTorch. */
export const isGraph = ({ name }: StepCase) => name === GRAPH_CASE;
