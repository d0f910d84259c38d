{{/* What KServe runs. */}}

{{- define "cirkd.kserveName" -}}
{{ .Values.kserve.name | default "cirkd" }}
{{- end }}

{{/*
The teacher's command line: an InferenceService's namespace has no ConfigMap of this release. KServe puts
the model at /mnt/models, and the name of the InferenceService in place of .Name.
*/}}
{{- define "cirkd.kserveArgs" -}}
- teacher
- --model=/mnt/models
- --port=8001
- --set=listen.host=0.0.0.0
- --set=metrics.host=0.0.0.0
- --set=oip.modelName={{ "{{.Name}}" }}
{{- with .Values.teacher.config.threads }}
- --set=threads={{ . }}
{{- end }}
{{- end }}
