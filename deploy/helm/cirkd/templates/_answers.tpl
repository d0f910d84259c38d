{{/* Answers that are kept on disk (docs/cache.md): volumes, bounds, conflicts between values. */}}

{{/* Not the volume's own folder, which may hold lost+found: a store refuses other files. */}}
{{- define "cirkd.answersDirectory" -}}
/answers/store
{{- end }}

{{/* A quantity of bytes, such as 20Gi, in MiB. */}}
{{- define "cirkd.mebibytes" -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- $factors := dict "" 0.00000095367431640625 "k" 0.00095367431640625 "M" 0.95367431640625 "G" 953.67431640625 "T" 953674.31640625 "Ki" 0.0009765625 "Mi" 1.0 "Gi" 1024.0 "Ti" 1048576.0 -}}
{{- floor (mulf (float64 (trimSuffix $unit .)) (index $factors $unit)) | int64 -}}
{{- end }}

{{/*
The bound for a store on a volume of this size. k writing processes may exceed theirs by k/16 before it is
swept, and the file system and files half written take a tenth.
*/}}
{{- define "cirkd.answersMiB" -}}
{{- div (mul 144 (int64 (include "cirkd.mebibytes" .size))) (add 160 (mul 10 .writers)) -}}
{{- end }}

{{/* A Deployment's maxSurge for this number of replicas: a percentage is rounded up. */}}
{{- define "cirkd.surge" -}}
{{- $given := toString .maxSurge -}}
{{- if hasSuffix "%" $given -}}
{{- div (add (mul .replicas (int (trimSuffix "%" $given))) 99) 100 -}}
{{- else -}}
{{- int $given -}}
{{- end -}}
{{- end }}

{{/* How many teachers write to a claim at a time, with those that an update adds. */}}
{{- define "cirkd.cacheWriters" -}}
{{- $teacher := .Values.teacher -}}
{{- $replicas := ternary (int $teacher.autoscaling.maxReplicas) (int $teacher.replicas) $teacher.autoscaling.enabled -}}
{{- $surge := include "cirkd.surge" (dict "replicas" $replicas "maxSurge" $teacher.maxSurge) | int -}}
{{- if empty $teacher.cache.claim -}}
1
{{- else -}}
{{- add (ternary (add $replicas $surge) 0 $teacher.enabled) (ternary (int .Values.student.workers) 0 $teacher.sidecar.enabled) -}}
{{- end -}}
{{- end }}

{{/* How many processes write to the student's claim at a time. */}}
{{- define "cirkd.storeWriters" -}}
{{ mul (int .Values.student.store.writers) (int .Values.student.workers) }}
{{- end }}

{{/* The teachers' section cache. */}}
{{- define "cirkd.cacheConfig" -}}
{{- $given := .Values.teacher.config.cache | default dict -}}
{{- $bound := include "cirkd.answersMiB" (dict "size" .Values.teacher.cache.size "writers" (include "cirkd.cacheWriters" . | int64)) | int64 -}}
{{- toYaml (merge (dict "directory" (include "cirkd.answersDirectory" .)) (dict "maxMiB" (int64 ($given.maxMiB | default $bound))) (deepCopy $given)) -}}
{{- end }}

{{/* The student's section teacher.store; given is what its recipe and its config have there. */}}
{{- define "cirkd.storeConfig" -}}
{{- $writers := include "cirkd.storeWriters" .root | int64 -}}
{{- $bound := include "cirkd.answersMiB" (dict "size" .root.Values.student.store.size "writers" $writers) | int64 -}}
{{- $wanted := int64 (.given.maxMiB | default $bound) -}}
{{- if gt $wanted $bound -}}
{{- fail (printf "student.config.teacher.store.maxMiB (or the recipe's): %d given, student.store.size %s holds at most %d for %d writers" $wanted .root.Values.student.store.size $bound $writers) -}}
{{- end -}}
{{- toYaml (dict "directory" (include "cirkd.answersDirectory" .root) "maxMiB" $wanted) -}}
{{- end }}

{{- define "cirkd.cacheVolume" -}}
{{- $cache := .root.Values.teacher.cache -}}
- name: {{ .name }}
{{- if $cache.claim }}
  persistentVolumeClaim: {claimName: {{ $cache.claim }}}
{{- else if $cache.storageClass }}
  ephemeral:
    volumeClaimTemplate:
      metadata:
        labels:
          {{- include "cirkd.selectorLabels" (dict "root" .root "part" .part) | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {{ $cache.storageClass }}
        resources:
          requests: {storage: {{ $cache.size }}}
{{- else }}
  emptyDir: {sizeLimit: {{ $cache.size }}}
{{- end }}
{{- end }}

{{/* What a teacher's container asks of the node's disk; empty where its answers lie elsewhere. */}}
{{- define "cirkd.cacheOnNode" -}}
{{- with .Values.teacher.cache -}}
{{- if and .enabled (empty .claim) (empty .storageClass) -}}
{{ .size }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "cirkd.answersClaim" -}}
{{ .Values.student.store.claim | default (printf "%s-answers" (include "cirkd.name" (dict "root" . "part" "student"))) }}
{{- end }}

{{- define "cirkd.checkAnswers" -}}
{{- if .Values.teacher.cache.enabled -}}
{{- include "cirkd.checkCache" . -}}
{{- end -}}
{{- if .Values.student.store.enabled -}}
{{- include "cirkd.checkStore" . -}}
{{- end -}}
{{- end }}

{{/* Refuses a claim for answers that has something else in it. */}}
{{- define "cirkd.checkOwnClaim" -}}
{{- $given := .root.Values -}}
{{- $run := ternary "student.run.claim" "the claim that is created for the runs (student.run.claim is empty)" (not (empty $given.student.run.claim)) -}}
{{- $others := dict $run (include "cirkd.runClaim" .root) "student.dataset.claim" $given.student.dataset.claim "student.weights.claim" $given.student.weights.claim "teacher.weights.claim" $given.teacher.weights.claim -}}
{{- range $key, $claim := $others -}}
{{- if eq $claim $.claim -}}
{{- fail (printf "%s: %s given, which is %s; answers need a volume of their own, which they may fill" $.key $claim $key) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "cirkd.checkCache" -}}
{{- $teacher := .Values.teacher -}}
{{- $cache := $teacher.cache -}}
{{- if not (or $teacher.enabled $teacher.sidecar.enabled) -}}
{{- fail "teacher.cache.enabled: true without teacher.enabled or teacher.sidecar.enabled; there is no teacher to keep answers" -}}
{{- end -}}
{{- if and $cache.claim $cache.storageClass -}}
{{- fail (printf "teacher.cache.claim, teacher.cache.storageClass: %s and %s given, wanted one of them; a claim has its class already" $cache.claim $cache.storageClass) -}}
{{- end -}}
{{- with $cache.claim -}}
{{- include "cirkd.checkOwnClaim" (dict "root" $ "key" "teacher.cache.claim" "claim" .) -}}
{{- end -}}
{{- $writers := include "cirkd.cacheWriters" . | int64 -}}
{{- if and $cache.claim (ne $cache.accessMode "ReadWriteMany") (gt $writers 1) -}}
{{- fail (printf "teacher.cache.accessMode: %s given for the claim %s, which up to %d pods mount (replicas, and maxSurge during an update), wanted ReadWriteMany; or no claim, and each pod keeps its own answers" $cache.accessMode $cache.claim $writers) -}}
{{- end -}}
{{- $bound := include "cirkd.answersMiB" (dict "size" $cache.size "writers" $writers) | int64 -}}
{{- if lt $bound 1 -}}
{{- fail (printf "teacher.cache.size: %s given, wanted at least 2Mi for each of %d teachers" $cache.size $writers) -}}
{{- end -}}
{{- $wanted := int64 (dig "cache" "maxMiB" 0 $teacher.config | default 0) -}}
{{- if gt $wanted $bound -}}
{{- fail (printf "teacher.config.cache.maxMiB: %d given, teacher.cache.size %s holds at most %d for %d teachers" $wanted $cache.size $bound $writers) -}}
{{- end -}}
{{- $limit := index ($teacher.resources.limits | default dict) "ephemeral-storage" -}}
{{- $onNode := include "cirkd.cacheOnNode" . -}}
{{- /* The pod's temporary folder counts as well, and so do logs. */ -}}
{{- if and $limit $onNode (lt (include "cirkd.mebibytes" $limit | int64) (add 1024 (include "cirkd.mebibytes" $onNode | int64))) -}}
{{- fail (printf "teacher.resources.limits.ephemeral-storage: %s given, less than teacher.cache.size, %s, and 1Gi for /tmp, which lie on the node's disk" $limit $onNode) -}}
{{- end -}}
{{- end }}

{{- define "cirkd.checkStore" -}}
{{- $student := .Values.student -}}
{{- $store := $student.store -}}
{{- if not $student.enabled -}}
{{- fail "student.store.enabled: true without student.enabled; there is no student to keep answers" -}}
{{- end -}}
{{- if not (or .Values.teacher.enabled .Values.teacher.sidecar.enabled $student.teacherAddresses) -}}
{{- fail "student.store.enabled: true without a teacher (teacher.enabled, teacher.sidecar.enabled or student.teacherAddresses); there are no answers to keep" -}}
{{- end -}}
{{- if and $store.claim $store.storageClass -}}
{{- fail (printf "student.store.claim, student.store.storageClass: %s and %s given, wanted one of them; a claim has its class already" $store.claim $store.storageClass) -}}
{{- end -}}
{{- include "cirkd.checkOwnClaim" (dict "root" . "key" "student.store.claim" "claim" (include "cirkd.answersClaim" .)) -}}
{{- with dig "teacher" "store" "directory" "" $student.config -}}
{{- fail (printf "student.config.teacher.store.directory: %s given with student.store.enabled, which sets it" .) -}}
{{- end -}}
{{- $writers := include "cirkd.storeWriters" . | int64 -}}
{{- if lt (include "cirkd.answersMiB" (dict "size" $store.size "writers" $writers) | int64) 1 -}}
{{- fail (printf "student.store.size: %s given, wanted at least 2Mi for each of %d writers" $store.size $writers) -}}
{{- end -}}
{{- end }}
