{{/* What both roles have in common. Each is called with (dict "root" $ "role" "proxy" "node" .Values.proxy). */}}

{{- define "weir.name" -}}
{{ printf "%s-weir" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "weir.labels" -}}
app.kubernetes.io/name: weir
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{/* Options by full name, as YAML: what the chart sets, then what the values say. */}}
{{- define "weir.options" -}}
{{- $name := include "weir.name" .root -}}
{{- $options := dict
      "role" .role
      "listen.api" "1985"
      "listen.system" "12025"
      "listen.webrtc" ""
      "listen.srt" ""
      "shutdown.grace" (printf "%ds" (int .root.Values.drain.graceSeconds))
      "shutdown.force" (printf "%ds" (add 10 .root.Values.drain.graceSeconds)) -}}
{{- if .node.tlsSecret -}}
{{- $_ := set $options "listen.https" "8443" -}}
{{- $_ := set $options "listen.rtmps" "1936" -}}
{{- $_ := set $options "tls.certificates" "/tls" -}}
{{- end -}}
{{- if eq .role "proxy" -}}
{{- if .root.Values.redis.enabled -}}
{{- $_ := set $options "state.backend" "redis" -}}
{{- $_ := set $options "redis.host" (.root.Values.redis.host | default (printf "%s-redis" $name)) -}}
{{- $_ := set $options "redis.port" (toString .root.Values.redis.port) -}}
{{- else if gt (int .node.replicas) 1 -}}
{{- if not .node.origins -}}
{{- fail "several proxies need redis.enabled, or the same proxy.origins: a heartbeat reaches only one of them" -}}
{{- end -}}
{{- $_ := set $options "balance" "rendezvous" -}}
{{- end -}}
{{- else if .node.cacheDisk -}}
{{- $_ := set $options "cache.path" "/var/cache/weir" -}}
{{- $_ := set $options "cache.disk" .node.cacheDisk -}}
{{- end -}}
{{- $upstreams := .node.origins -}}
{{- if eq .role "edge" -}}
{{- $upstreams = .node.upstreams -}}
{{- if and (not $upstreams) .root.Values.proxy.enabled -}}
{{- $upstreams = list (dict "name" "proxy" "host" (printf "%s-proxy" $name) "rtmp" 1935 "http" 8080) -}}
{{- end -}}
{{- end -}}
{{- range $upstreams -}}
{{- $section := printf "upstream.%s" (required "every upstream has a name" .name) -}}
{{- range $key, $value := omit . "name" -}}
{{- $_ := set $options (printf "%s.%s" $section $key) (toString $value) -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := .node.options -}}
{{- $_ := set $options $key (toString $value) -}}
{{- end -}}
{{ toYaml $options }}
{{- end }}

{{/* weir.conf: general options first, then a section for each prefix. */}}
{{- define "weir.conf" -}}
{{- $general := dict -}}
{{- $sections := dict -}}
{{- range $key, $value := include "weir.options" . | fromYaml -}}
{{- $words := splitList "." $key -}}
{{- if eq (len $words) 1 -}}
{{- $_ := set $general $key $value -}}
{{- else -}}
{{- $section := initial $words | join "." -}}
{{- $_ := set $sections $section (merge (dict (last $words) $value) (get $sections $section | default dict)) -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := $general }}
{{ $key }} = {{ $value }}
{{- end }}
{{- range $section, $options := $sections }}

[{{ $section }}]
{{- range $key, $value := $options }}
{{ $key }} = {{ $value }}
{{- end }}
{{- end }}
{{ end }}

{{- define "weir.node" -}}
{{- $name := printf "%s-%s" (include "weir.name" .root) .role -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $name }}
  labels: {{- include "weir.labels" . | nindent 4 }}
data:
  weir.conf: |
    {{- include "weir.conf" . | trim | nindent 4 }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels: {{- include "weir.labels" . | nindent 4 }}
  {{- with .node.service.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .node.service.type }}
  selector: {{- include "weir.labels" . | nindent 4 }}
  ports:
    - {name: rtmp, port: 1935, targetPort: rtmp}
    - {name: http, port: 8080, targetPort: http}
    {{- if .node.tlsSecret }}
    - {name: rtmps, port: 1936, targetPort: rtmps}
    - {name: https, port: 443, targetPort: https}
    {{- end }}
---
# Within the cluster alone: metrics, and where origins register.
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}-system
  labels: {{- include "weir.labels" . | nindent 4 }}
    weir/metrics: "true"
spec:
  type: ClusterIP
  selector: {{- include "weir.labels" . | nindent 4 }}
  ports:
    - {name: api, port: 1985, targetPort: api}
    - {name: system, port: 12025, targetPort: system}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels: {{- include "weir.labels" . | nindent 4 }}
spec:
  replicas: {{ .node.replicas }}
  # One more before one less: streams have somewhere to go.
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels: {{- include "weir.labels" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "weir.labels" . | nindent 8 }}
      annotations:
        checksum/config: {{ include "weir.conf" . | sha256sum }}
    spec:
      terminationGracePeriodSeconds: {{ add .root.Values.drain.leaveSeconds .root.Values.drain.graceSeconds 20 }}
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 1935
        runAsGroup: 1935
        fsGroup: 1935
        seccompProfile: {type: RuntimeDefault}
      {{- with .root.Values.image.pullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: weir
          image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: ["--config=/etc/weir/weir.conf"]
          env:
            - name: WEIR_NODE_ID
              valueFrom: {fieldRef: {fieldPath: metadata.name}}
          {{- with .node.secret }}
          envFrom:
            - secretRef: {name: {{ . }}}
          {{- end }}
          ports:
            - {name: rtmp, containerPort: 1935}
            - {name: http, containerPort: 8080}
            {{- if .node.tlsSecret }}
            - {name: rtmps, containerPort: 1936}
            - {name: https, containerPort: 8443}
            {{- end }}
            - {name: api, containerPort: 1985}
            - {name: system, containerPort: 12025}
          startupProbe:
            httpGet: {path: /readyz, port: api}
            periodSeconds: 1
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /healthz, port: api}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            httpGet: {path: /readyz, port: api}
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 1
          lifecycle:
            # Whoever routes hears of the end before weir stops accepting; then SIGTERM drains.
            preStop:
              exec: {command: ["sleep", "{{ .root.Values.drain.leaveSeconds }}"]}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          {{- with .node.resources }}
          resources: {{- toYaml . | nindent 12 }}
          {{- end }}
          volumeMounts:
            - {name: config, mountPath: /etc/weir, readOnly: true}
            {{- if .node.tlsSecret }}
            - {name: tls, mountPath: /tls, readOnly: true}
            {{- end }}
            {{- if .node.cacheDisk }}
            - {name: cache, mountPath: /var/cache/weir}
            {{- end }}
      volumes:
        - name: config
          configMap: {name: {{ $name }}}
        {{- with .node.tlsSecret }}
        - name: tls
          secret: {secretName: {{ . }}}
        {{- end }}
        {{- if .node.cacheDisk }}
        - name: cache
          emptyDir: {}
        {{- end }}
      {{- with .node.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .node.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .node.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end }}
