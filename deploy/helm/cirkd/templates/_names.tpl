{{/* Names and labels. A part is teacher or student. */}}

{{/* Room for the longest ending below 63; a Service's name has no dots. */}}
{{- define "cirkd.release" -}}
{{- .Release.Name | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "cirkd.name" -}}
{{- printf "%s-%s" (include "cirkd.release" .root) .part -}}
{{- end }}

{{/* The labels that selectors match: constant while a release exists. */}}
{{- define "cirkd.selectorLabels" -}}
app.kubernetes.io/name: cirkd
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{/* Not for pod templates: a new chart version must not restart pods, and a Job's template can't change. */}}
{{- define "cirkd.labels" -}}
{{ include "cirkd.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "cirkd.image" -}}
{{- $values := index .root.Values .part -}}
{{- $image := .root.Values.image -}}
{{- $name := ternary $values.repository (printf "%s/%s" $image.registry $values.repository) (empty $image.registry) -}}
{{- if $values.digest -}}
{{ $name }}@{{ $values.digest }}
{{- else -}}
{{ $name }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ if $values.gpu }}-cuda{{ end }}
{{- end -}}
{{- end }}

{{/* The name that students look up, and that the teachers' certificates have. */}}
{{- define "cirkd.teacherHost" -}}
{{ include "cirkd.name" (dict "root" . "part" "teacher") }}-headless.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "cirkd.tlsSecret" -}}
{{- $given := index .root.Values.tls (printf "%sSecret" .part) -}}
{{ $given | default (printf "%s-tls" (include "cirkd.name" .)) }}
{{- end }}

{{/* The claim with the run folders: the one that is given or the one that is created. */}}
{{- define "cirkd.runClaim" -}}
{{ .Values.student.run.claim | default (printf "%s-runs" (include "cirkd.name" (dict "root" . "part" "student"))) }}
{{- end }}

{{/*
The ConfigMap of a part. Those in a student's pod are named by what is in them: an upgrade with another
config fails at the Job, which can't change, after helm has changed the rest; the run keeps what it began with.
*/}}
{{- define "cirkd.configName" -}}
{{ include "cirkd.name" . }}
{{- if ne .part "teacher" -}}
-{{ include (printf "cirkd.%sConfig" .part) .root | sha256sum | trunc 8 }}
{{- end -}}
{{- end }}
