/** Which programs tests build from Go modules, at which version. */
import type { GoModule } from './goProgram.js';

export const GRPCURL: GoModule = {
  path: 'github.com/fullstorydev/grpcurl',
  version: 'v1.9.3',
  commands: ['./cmd/grpcurl'],
};

export const GRPC_HEALTH_PROBE: GoModule = {
  path: 'github.com/grpc-ecosystem/grpc-health-probe',
  version: 'v0.4.40',
  commands: ['.'],
};

/** Version 3; without the clouds' service discovery, which is most of its compile time. */
export const PROMETHEUS: GoModule = {
  path: 'github.com/prometheus/prometheus',
  version: 'v0.313.5',
  commands: ['./cmd/prometheus', './cmd/promtool'],
  tags: ['remove_all_sd'],
};

export const HELM: GoModule = {
  path: 'helm.sh/helm/v3',
  version: 'v3.22.0',
  commands: ['./cmd/helm'],
};
