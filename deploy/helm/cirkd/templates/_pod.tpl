{{/* What the pods of both parts share. */}}

{{/* The whole of Kubernetes' restricted profile, and a read-only root. */}}
{{- define "cirkd.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "cirkd.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* nodeDisk, if given: what is requested of the node's disk, unless the values request something. */}}
{{- define "cirkd.resources" -}}
{{- $values := index .root.Values .part -}}
{{- $gpu := ternary (dict "limits" (dict "nvidia.com/gpu" 1)) (dict) $values.gpu -}}
{{- $disk := dict -}}
{{- with .nodeDisk -}}
{{- $disk = dict "requests" (dict "ephemeral-storage" .) -}}
{{- end -}}
{{ toYaml (mergeOverwrite $disk (deepCopy $values.resources) $gpu) }}
{{- end }}

{{/* Identity, and where a pod may run. */}}
{{- define "cirkd.podPlace" -}}
{{- $values := index .root.Values .part -}}
serviceAccountName: {{ include "cirkd.release" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "cirkd.podSecurity" . | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $tolerations := $values.tolerations }}
{{- $isSidecarGpu := and (eq .part "student") .root.Values.teacher.sidecar.enabled .root.Values.teacher.gpu }}
{{- if or $values.gpu $isSidecarGpu }}
{{- $tolerations = append $tolerations (dict "key" "nvidia.com/gpu" "operator" "Exists" "effect" "NoSchedule") }}
{{- end }}
{{- with $tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A teacher's container: image, command, health. Its config file and where it is placed are the caller's. */}}
{{- define "cirkd.teacherContainer" -}}
image: {{ include "cirkd.image" (dict "root" .root "part" "teacher") | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
command: [/usr/local/bin/node, /app/services/cli/bin.mjs]
args: [teacher, --config, /etc/cirkd/config/{{ .part }}.yaml]
# Health is NOT_SERVING until the network is warm, and from SIGTERM on.
startupProbe:
  grpc: {port: 50052}
  periodSeconds: 5
  failureThreshold: {{ div (add .root.Values.teacher.startupSeconds 4) 5 }}
# A late answer (the default limit is 1 s) is no reason to send its students away.
readinessProbe:
  grpc: {port: 50052}
  periodSeconds: 5
  timeoutSeconds: 4
  failureThreshold: 2
livenessProbe:
  grpc: {port: 50052}
  periodSeconds: 15
  timeoutSeconds: 10
  failureThreshold: 4
resources:
  {{- include "cirkd.resources" (dict "root" .root "part" "teacher" "nodeDisk" (include "cirkd.cacheOnNode" .root)) | nindent 2 }}
securityContext:
  {{- include "cirkd.containerSecurity" . | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}

{{/* Whole folders, never subPath: files mounted by subPath don't change when a Secret does. */}}
{{- define "cirkd.mounts" -}}
- {name: config, mountPath: /etc/cirkd/config, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if .root.Values.tls.enabled }}
- {name: tls, mountPath: /etc/cirkd/tls, readOnly: true}
{{- end }}
{{- if .root.Values.token.secret }}
- {name: token, mountPath: /etc/cirkd/token, readOnly: true}
{{- end }}
{{- end }}

{{- define "cirkd.volumes" -}}
- name: config
  configMap: {name: {{ include "cirkd.configName" . }}}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- if .root.Values.tls.enabled }}
- name: tls
  secret: {secretName: {{ include "cirkd.tlsSecret" . }}, defaultMode: 0440}
{{- end }}
{{- with .root.Values.token.secret }}
- name: token
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - {{ if eq $.part "teacher" }}{key: tokens, path: tokens}{{ else }}{key: token, path: token}{{ end }}
{{- end }}
{{- end }}
