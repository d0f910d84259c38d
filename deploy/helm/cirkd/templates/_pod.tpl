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

{{- define "cirkd.resources" -}}
{{- $values := index .root.Values .part -}}
{{- $gpu := ternary (dict "limits" (dict "nvidia.com/gpu" 1)) (dict) $values.gpu -}}
{{ toYaml (mergeOverwrite (deepCopy $values.resources) $gpu) }}
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
{{- if $values.gpu }}
{{- $tolerations = append $tolerations (dict "key" "nvidia.com/gpu" "operator" "Exists" "effect" "NoSchedule") }}
{{- end }}
{{- with $tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
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
