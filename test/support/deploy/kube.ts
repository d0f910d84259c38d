/** The parts of Kubernetes' objects that the tests of the chart look at. */

export type Labels = Readonly<Record<string, string>>;

export interface Selector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values: readonly string[];
  }[];
}

export interface Security {
  readonly [key: string]: unknown;
  readonly seccompProfile?: { readonly type: string };
  readonly capabilities?: { readonly drop: readonly string[]; readonly add?: readonly string[] };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly env?: readonly EnvVar[];
  readonly securityContext: Security;
  readonly resources: Readonly<Record<'requests' | 'limits', Labels>>;
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
    readonly subPath?: string;
  }[];
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  /** Of an init container: Always makes it a native sidecar. */
  readonly restartPolicy?: string;
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
}

export interface Probe {
  readonly grpc: { readonly port: number };
  readonly periodSeconds: number;
  readonly timeoutSeconds?: number;
  readonly failureThreshold: number;
}

export interface Volume {
  readonly name: string;
  readonly configMap?: { readonly name: string };
  readonly secret?: {
    readonly secretName: string;
    readonly items?: readonly { readonly key: string; readonly path: string }[];
  };
  readonly persistentVolumeClaim?: { readonly claimName: string; readonly readOnly?: boolean };
  readonly emptyDir?: Readonly<Record<string, string>>;
  readonly ephemeral?: { readonly volumeClaimTemplate: { readonly spec: ClaimSpec } };
}

export interface ClaimSpec {
  readonly accessModes: readonly string[];
  readonly storageClassName?: string;
  readonly resources: { readonly requests: { readonly storage: string } };
}

export interface PodSpec {
  readonly serviceAccountName: string;
  readonly subdomain?: string;
  readonly automountServiceAccountToken: boolean;
  readonly securityContext: Security;
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly Volume[];
  readonly terminationGracePeriodSeconds?: number;
  readonly restartPolicy?: string;
  readonly tolerations?: readonly Labels[];
  readonly hostNetwork?: boolean;
}

export interface PodTemplate {
  readonly metadata: { readonly labels: Labels; readonly annotations?: Labels };
  readonly spec: PodSpec;
}

export interface Rule {
  readonly action: string;
  readonly onExitCodes?: {
    readonly containerName: string;
    readonly operator: string;
    readonly values: readonly number[];
  };
  readonly onPodConditions?: readonly { readonly type: string; readonly status: string }[];
}

export interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
}

export interface PolicyRule {
  readonly ports?: readonly { readonly port: string | number }[];
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
}

/** Of whatever kind: what each kind has of these is its own. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly labels: Labels;
    readonly annotations?: Labels;
  };
  readonly data?: Labels;
  readonly immutable?: boolean;
  readonly spec: {
    readonly replicas?: number;
    readonly strategy: {
      readonly rollingUpdate: Readonly<Record<'maxSurge' | 'maxUnavailable', number | string>>;
    };
    readonly maxUnavailable: number | string;
    readonly template: PodTemplate;
    /** A Service's is bare labels. */
    readonly selector: Selector & Labels;
    readonly podSelector: Selector;
    readonly ports: readonly { readonly name: string; readonly targetPort: string }[];
    readonly clusterIP?: string;
    readonly publishNotReadyAddresses?: boolean;
    readonly podFailurePolicy: { readonly rules: readonly Rule[] };
    readonly podReplacementPolicy: string;
    readonly completionMode?: string;
    readonly completions?: number;
    readonly parallelism?: number;
    readonly backoffLimit?: number;
    readonly backoffLimitPerIndex?: number;
    readonly maxFailedIndexes?: number;
    readonly successPolicy?: { readonly rules: readonly { readonly succeededIndexes: string }[] };
    readonly ingress: readonly PolicyRule[];
    readonly egress: readonly PolicyRule[];
    readonly secretName: string;
    readonly dnsNames: readonly string[];
    readonly usages: readonly string[];
    readonly scaleTargetRef: { readonly name: string };
    readonly triggers: readonly { readonly metadata: Labels }[];
    readonly podMetricsEndpoints: readonly { readonly port: string }[];
    readonly groups: unknown;
    readonly accessModes: readonly string[];
  };
}

/** Whether a selector takes a pod of these labels; an empty one takes all. */
export function selects(selector: Selector, labels: Labels): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }) => {
      if (operator !== 'In') throw new Error(`operator ${operator}: not known to this test`);
      return values.includes(labels[key] ?? '');
    })
  );
}

/** Whether a rule of a NetworkPolicy takes this port, from or to a pod of this namespace. */
export function allows(
  rule: PolicyRule,
  peer: { readonly labels: Labels; readonly namespaceLabels: Labels | null },
  port: string | number,
): boolean {
  const peers = rule.from ?? rule.to;
  const portFits = rule.ports === undefined || rule.ports.some((one) => one.port === port);
  const peerFits = ({ podSelector, namespaceSelector }: Peer) =>
    (namespaceSelector === undefined
      ? peer.namespaceLabels === null
      : selects(namespaceSelector, peer.namespaceLabels ?? {})) &&
    selects(podSelector ?? {}, peer.labels);
  return portFits && (peers === undefined || peers.some(peerFits));
}

/** What keeps a pod out of a namespace with Kubernetes' restricted profile, or lets it write to its root. */
export function restrictedFaults(spec: PodSpec): string[] {
  const { runAsNonRoot, runAsUser, seccompProfile } = spec.securityContext;
  const kinds = (spec.volumes ?? []).flatMap(({ name: _, ...kind }) => Object.keys(kind));
  const allowed = ['configMap', 'secret', 'emptyDir', 'ephemeral', 'persistentVolumeClaim'];
  const wrong = {
    runAsNonRoot: runAsNonRoot !== true || runAsUser === 0,
    seccompProfile: seccompProfile?.type !== 'RuntimeDefault',
    namespaces: ['hostNetwork', 'hostPID', 'hostIPC'].some((key) => key in spec),
    token: spec.automountServiceAccountToken !== false,
    volumes: !kinds.every((kind) => allowed.includes(kind)),
    containers: [...(spec.initContainers ?? []), ...spec.containers].some(
      ({ securityContext: security }) => {
        const { drop = [], add = [] } = security.capabilities ?? {};
        const opened = security['allowPrivilegeEscalation'] !== false || !drop.includes('ALL');
        return opened || add.length > 0 || security['readOnlyRootFilesystem'] !== true;
      },
    ),
  };
  return Object.keys(wrong).filter((key) => wrong[key as keyof typeof wrong]);
}
