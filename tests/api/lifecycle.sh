#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A server is started, ended and killed; what it has acknowledged stays, and two never share a folder.

. "$(dirname "$0")/../harness/tap.sh"
. "$(dirname "$0")/../harness/apiserver.sh"

uid_of() {
        k get namespace "$1" -o jsonpath='{.metadata.uid}'
}

apiserver_start
is "$(curl -sk "$APISERVER_URL/healthz")" ok "/healthz answers without a certificate"
is "$(curl -sk -o /dev/null -w '%{http_code}' "$APISERVER_URL/api/v1/namespaces")" 401 "all else asks for one"
is "$(stat -c %a "$KUBECONFIG")" 600 "the admin kubeconfig is private"
succeeds "kubectl is let in by the admin kubeconfig" k get namespace kube-system
succeeds "a namespace is created" k create namespace kept
uid=$(uid_of kept)

fails "a second server on the same folder is refused" timeout 10 "$FL_BUILD/fairlead-apiserver" \
        --data-dir "$APISERVER_DATA" --bind-address 127.0.0.1 --secure-port "$(free_port)"
like "$output" "$APISERVER_DATA is in use" "and says which folder is in use"
is "$(uid_of kept)" "$uid" "the first one goes on"

apiserver_stop
is $? 0 "SIGTERM ends it with exit code 0"
apiserver_start
is "$(uid_of kept)" "$uid" "started again, it has the same object"

succeeds "another namespace is created" k create namespace acknowledged
uid=$(uid_of acknowledged)
apiserver_kill
apiserver_start
is "$(uid_of acknowledged)" "$uid" "an acknowledged write survives SIGKILL"

done_testing
