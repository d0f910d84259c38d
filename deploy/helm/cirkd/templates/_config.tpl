{{/* The two config files: the values, overlaid with what only the chart knows. */}}

{{/* What both kinds of teachers have. Of the caller are listen's other keys. */}}
{{- define "cirkd.servedConfig" -}}
{{- $config := deepCopy .root.Values.teacher.config -}}
{{- if not (or (dig "simulate" "enabled" false $config) (dig "graph" "onnx" "" $config) (dig "graph" "savedModel" "" $config)) -}}
{{- $_ := set $config "checkpoint" .root.Values.teacher.weights.file -}}
{{- end -}}
{{- if .root.Values.teacher.cache.enabled -}}
{{- $_ := set $config "cache" (include "cirkd.cacheConfig" .root | fromYaml) -}}
{{- end -}}
{{- $_ := set $config "listen" (merge .listen (dict "host" "0.0.0.0" "healthPort" 50052)) -}}
{{- $_ := set $config "metrics" (dict "host" "0.0.0.0" "port" 9464) -}}
{{ toYaml $config }}
{{- end }}

{{- define "cirkd.teacherConfig" -}}
{{- $listen := dict "port" 50051 -}}
{{- if .Values.tls.enabled -}}
{{- $_ := set $listen "tls" (dict "certificate" "/etc/cirkd/tls/tls.crt" "key" "/etc/cirkd/tls/tls.key" "clientCa" "/etc/cirkd/tls/ca.crt") -}}
{{- end -}}
{{- if .Values.token.secret -}}
{{- $_ := set $listen "tokenFile" "/etc/cirkd/token/tokens" -}}
{{- end -}}
{{ include "cirkd.servedConfig" (dict "root" . "listen" $listen) }}
{{- end }}

{{/* In the student's pod: no port for gRPC, and nobody else reaches the socket. */}}
{{- define "cirkd.socketAddress" -}}
unix:/run/cirkd/teacher.sock
{{- end }}

{{- define "cirkd.sidecarConfig" -}}
{{- $listen := dict "port" nil "socket" (include "cirkd.socketAddress" .) -}}
{{ include "cirkd.servedConfig" (dict "root" . "listen" $listen) }}
{{- end }}

{{- define "cirkd.studentConfig" -}}
{{- $given := .Values.student -}}
{{- $addresses := $given.teacherAddresses -}}
{{- if and (empty $addresses) .Values.teacher.enabled -}}
{{- $addresses = list (printf "dns:///%s:50051" (include "cirkd.teacherHost" .)) -}}
{{- end -}}
{{- if .Values.teacher.sidecar.enabled -}}
{{- $addresses = prepend $addresses (include "cirkd.socketAddress" .) -}}
{{- end -}}
{{- $teacher := dict "addresses" $addresses -}}
{{- if .Values.tls.enabled -}}
{{- $_ := set $teacher "tls" (dict "ca" "/etc/cirkd/tls/ca.crt" "certificate" "/etc/cirkd/tls/tls.crt" "key" "/etc/cirkd/tls/tls.key") -}}
{{- end -}}
{{- if .Values.token.secret -}}
{{- $_ := set $teacher "tokenFile" "/etc/cirkd/token/token" -}}
{{- end -}}
{{- $run := dict "directory" "/runs" "id" ($given.run.id | default .Release.Name) -}}
{{- $set := dict "run" $run "teacher" $teacher "metrics" (dict "host" "0.0.0.0" "port" 9465) -}}
{{- $recipe := fromYaml $given.recipe -}}
{{- with $recipe.Error -}}
{{- fail (printf "student.recipe: %s" .) -}}
{{- end -}}
{{- $config := mergeOverwrite $recipe (deepCopy $given.config) $set -}}
{{- if $given.store.enabled -}}
{{- $own := dig "teacher" "store" dict $config | default dict -}}
{{- $_ := set $config.teacher "store" (include "cirkd.storeConfig" (dict "root" . "given" $own) | fromYaml) -}}
{{- end -}}
{{- if include "cirkd.isGroup" . -}}
{{- include "cirkd.checkGroup" (dict "root" . "config" $config) -}}
{{- $_ := set $config "distributed" (include "cirkd.distributedConfig" $config | fromYaml) -}}
{{- end -}}
{{ toYaml $config }}
{{- end }}

{{/* Conflicts between values, which the schema can't detect. */}}
{{- define "cirkd.check" -}}
{{- include "cirkd.checkAnswers" . -}}
{{- if and .Values.token.secret (not .Values.tls.enabled) -}}
{{- fail "token.secret: given without tls.enabled; a token does not go in plain text" -}}
{{- end -}}
{{- if not (or .Values.teacher.enabled .Values.student.enabled .Values.kserve.enabled) -}}
{{- fail "teacher.enabled, student.enabled: both false, wanted one of them at least (or kserve.enabled)" -}}
{{- end -}}
{{- if .Values.teacher.sidecar.enabled -}}
{{- if not .Values.student.enabled -}}
{{- fail "teacher.sidecar.enabled: true without student.enabled; it is a container in the student's pod" -}}
{{- end -}}
{{- if .Values.tls.enabled -}}
{{- fail "tls.enabled: true with teacher.sidecar.enabled; a student has TLS with all of its teachers or with none, and the pod's socket has none" -}}
{{- end -}}
{{- end -}}
{{- with .Values.teacher -}}
{{- if and .autoscaling.enabled (not .enabled) -}}
{{- fail "teacher.autoscaling.enabled: true without teacher.enabled; there is no fleet to scale" -}}
{{- end -}}
{{- if gt (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas) -}}
{{- fail (printf "teacher.autoscaling: minReplicas %v, wanted at most maxReplicas, %v" .autoscaling.minReplicas .autoscaling.maxReplicas) -}}
{{- end -}}
{{- if and (regexMatch "^0%?$" (toString .maxSurge)) (regexMatch "^0%?$" (toString .maxUnavailable)) -}}
{{- fail "teacher.maxSurge, teacher.maxUnavailable: both 0, which lets no update begin" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.student.enabled .Values.student.teacherAddresses .Values.networkPolicy.enabled (empty .Values.networkPolicy.teachers) -}}
{{- fail "networkPolicy.teachers: empty; with student.teacherAddresses say where the student may go to, or networkPolicy.enabled: false" -}}
{{- end -}}
{{- end }}
