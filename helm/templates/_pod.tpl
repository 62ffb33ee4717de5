{{- /* The pod of a server or of a scheduler. Takes a dict: root, part ("server" or "scheduler"). */ -}}
{{- define "keywright.pod" -}}
{{- $root := .root }}{{ $values := .root.Values }}{{ $postgresql := $values.ledger.existingSecret -}}
metadata:
  labels:
    {{- include "keywright.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .part }}
  {{- with $values.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "keywright.account" $root }}
  automountServiceAccountToken: {{ $values.serviceAccount.automountToken }}
  # Kubernetes would otherwise put KEYWRIGHT_PORT and the like into the environment.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with $values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .part }}
      image: {{ include "keywright.image" $root | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      command: ["keywrightd", {{ ternary "serve" "scheduler" (eq .part "server") | quote }}]
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      env:
        - {name: KEYWRIGHT_DATA, value: /data}
        {{- if $postgresql }}
        - {name: KEYWRIGHT_LEDGER_FILE, value: /ledger/url}
        {{- end }}
        {{- if $values.masterKey.existingSecret }}
        # Not as a file: a mounted Secret belongs to root, and with fsGroup its group can read it, which Keywright refuses.
        - {name: KEYWRIGHT_KEY, value: "env:MASTER_KEY"}
        - name: MASTER_KEY
          valueFrom:
            secretKeyRef:
              name: {{ $values.masterKey.existingSecret }}
              key: {{ $values.masterKey.secretKey }}
        {{- else }}
        - {name: KEYWRIGHT_KEY, value: {{ required "masterKey.existingSecret or masterKey.home is needed" $values.masterKey.home | quote }}}
        {{- end }}
        {{- if eq .part "server" }}
        - {name: KEYWRIGHT_LISTEN, value: "0.0.0.0:8420"}
        {{- with $values.url }}
        - {name: KEYWRIGHT_URL, value: {{ . | quote }}}
        {{- end }}
        {{- if $values.breachedPasswords.existingClaim }}
        - {name: KEYWRIGHT_BREACHED_PASSWORDS, value: {{ printf "/breached/%s" $values.breachedPasswords.file | quote }}}
        {{- end }}
        {{- if $values.scheduler.enabled }}
        - {name: KEYWRIGHT_CLOCK, value: "false"}
        {{- end }}
        {{- if $values.tls.existingSecret }}
        - {name: KEYWRIGHT_TLS_CERT, value: /tls/tls.crt}
        - {name: KEYWRIGHT_TLS_KEY, value: /tls/tls.key}
        {{- end }}
        {{- end }}
        {{- range $name, $value := $values.settings }}
        - {name: KEYWRIGHT_{{ $name }}, value: {{ $value | toString | quote }}}
        {{- end }}
      {{- with $values.existingSettingsSecret }}
      envFrom:
        - secretRef: {name: {{ . }}}
      {{- end }}
      {{- if eq .part "server" }}
      {{- $scheme := ternary "HTTPS" "HTTP" (not (empty $values.tls.existingSecret)) }}
      ports:
        - {name: api, containerPort: 8420, protocol: TCP}
      startupProbe:
        httpGet: {path: /healthz, port: api, scheme: {{ $scheme }}}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: api, scheme: {{ $scheme }}}
        periodSeconds: 10
        timeoutSeconds: 5
      readinessProbe:
        httpGet: {path: /readyz, port: api, scheme: {{ $scheme }}}
        periodSeconds: 5
        timeoutSeconds: 5
      {{- end }}
      {{- with $values.resources }}
      resources: {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
        {{- if $postgresql }}
        - {name: ledger, mountPath: /ledger, readOnly: true}
        {{- end }}
        {{- if and (eq .part "server") $values.tls.existingSecret }}
        - {name: tls, mountPath: /tls, readOnly: true}
        {{- end }}
        {{- if and (eq .part "server") $values.breachedPasswords.existingClaim }}
        - {name: breached, mountPath: /breached, readOnly: true}
        {{- end }}
  volumes:
    - {name: tmp, emptyDir: {sizeLimit: 16Mi}}
    {{- if $postgresql }}
    - {name: data, emptyDir: {sizeLimit: 16Mi}}
    - name: ledger
      secret:
        secretName: {{ $postgresql }}
        defaultMode: 0440
        items: [{key: {{ $values.ledger.secretKey | quote }}, path: url}]
    {{- end }}
    {{- if and (eq .part "server") $values.tls.existingSecret }}
    - name: tls
      secret: {secretName: {{ $values.tls.existingSecret }}, defaultMode: 0440}
    {{- end }}
    {{- if and (eq .part "server") $values.breachedPasswords.existingClaim }}
    - name: breached
      persistentVolumeClaim: {claimName: {{ $values.breachedPasswords.existingClaim | quote }}, readOnly: true}
    {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
