{{/* A student on several processes (docs/distributed.md): an Indexed Job with a pod for each rank. */}}

{{/* Not empty: there are several ranks. */}}
{{- define "cirkd.isGroup" -}}
{{- if gt (int .Values.student.workers) 1 -}}
true
{{- end -}}
{{- end }}

{{/* The headless Service that gives each rank a name. */}}
{{- define "cirkd.ranksService" -}}
{{ include "cirkd.name" (dict "root" . "part" "student") }}-ranks
{{- end }}

{{/* The pods of this Job and no others: Kubernetes sets the last label. */}}
{{- define "cirkd.rankLabels" -}}
{{- $part := dict "root" . "part" "student" -}}
{{ include "cirkd.selectorLabels" $part }}
batch.kubernetes.io/job-name: {{ include "cirkd.name" $part }}
{{- end }}

{{/* An Indexed Job's pods have the host names JOB-INDEX. Kubernetes puts the index in for $(...). */}}
{{- define "cirkd.tfConfig" -}}
{{- $addresses := list -}}
{{- range $rank := until (int .Values.student.workers) -}}
{{- $pod := printf "%s-%d" (include "cirkd.name" (dict "root" $ "part" "student")) $rank -}}
{{- $addresses = append $addresses (printf "%s.%s.%s.svc:2222" $pod (include "cirkd.ranksService" $) $.Release.Namespace) -}}
{{- end -}}
{{- printf `{"cluster":{"worker":%s},"task":{"type":"worker","index":$(JOB_COMPLETION_INDEX)}}` (toJson $addresses) -}}
{{- end }}

{{/*
The section distributed, over the config's own. Ranks must wait for one another longer than the longest pause
between two starts of a pod, 10 minutes, and the start itself.
*/}}
{{- define "cirkd.distributedConfig" -}}
{{- toYaml (merge (deepCopy (.distributed | default dict)) (dict "startTimeoutMs" 1200000)) -}}
{{- end }}

{{/* config: the student's, with its recipe. */}}
{{- define "cirkd.checkGroup" -}}
{{- $student := .root.Values.student -}}
{{- $workers := int64 $student.workers -}}
{{- $batch := dig "train" "batchSize" 0 .config | default 0 | int64 -}}
{{- if ne (mod $batch $workers) 0 -}}
{{- fail (printf "train.batchSize (student.config or the recipe): %d given, wanted a multiple of student.workers, %d" $batch $workers) -}}
{{- end -}}
{{- if ne $student.run.accessMode "ReadWriteMany" -}}
{{- fail (printf "student.run.accessMode: %s given, wanted ReadWriteMany: the %d pods of student.workers mount the runs, on any nodes, though rank 0 alone writes" $student.run.accessMode $workers) -}}
{{- end -}}
{{- if and $student.store.enabled (ne $student.store.accessMode "ReadWriteMany") -}}
{{- fail (printf "student.store.accessMode: %s given, wanted ReadWriteMany: the %d pods of student.workers write to it" $student.store.accessMode $workers) -}}
{{- end -}}
{{- end }}
