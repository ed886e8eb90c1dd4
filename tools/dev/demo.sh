#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Brings up fairlead-apiserver on 127.0.0.1 with a fresh data folder, drives it with kubectl, shows what happens, and takes
# it down again.
#   demo.sh [--keep]        --keep leaves it running and says how to go on and how to end it
set -euo pipefail

keep=
case ${1:-} in
--keep) keep=1 ;;
'') ;;
*)
        sed -n '4,6s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
esac

cd "$(dirname "$0")/../.."
build=$(realpath "${FL_BUILD:-build}")
server=$build/fairlead-apiserver
folder=$build/demo
pid=
bold="" dim="" off=""
if [ -t 1 ]; then
        bold=$'\e[1m' dim=$'\e[2m' off=$'\e[0m'
fi

say() {
        printf '\n%s%s%s\n' "$bold" "$*" "$off"
}

run() { # shows a command and runs it
        printf '%s$ %s%s\n' "$dim" "$*" "$off"
        "$@"
}

stop_server() { # pid
        kill "$1" 2>/dev/null || return 0
        for _ in $(seq 50); do
                kill -0 "$1" 2>/dev/null || return 0
                sleep 0.1
        done
        kill -KILL "$1" 2>/dev/null || true
}

finish() {
        local code=$?
        trap - EXIT
        if [ -n "$pid" ]; then
                stop_server "$pid"
        fi
        if [ "$code" != 0 ] && [ -s "$folder/apiserver.log" ]; then
                say "That went wrong. The server's log ($folder/apiserver.log) ended so:"
                tail -n 20 "$folder/apiserver.log"
        elif [ "$code" = 0 ] && [ -z "$keep" ]; then
                rm -rf "$folder"
        fi
        exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Of an earlier --keep. The pid is only ours when that process is our server.
end_earlier() {
        local earlier
        [ -s "$folder/pid" ] || return 0
        earlier=$(cat "$folder/pid")
        if [ "$(readlink "/proc/$earlier/exe" 2>/dev/null)" = "$server" ]; then
                say "Ending the server of an earlier demo (pid $earlier)"
                stop_server "$earlier"
        fi
}

pick_port() { # 6443, or a free one when something listens there
        python3 - <<'END'
import socket
for port in (6443, 0):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            print(s.getsockname()[1])
            break
        except OSError:
            pass
END
}

milliseconds() {
        echo $(($(date +%s%N) / 1000000))
}

start_server() {
        local begun
        port=$(pick_port)
        begun=$(milliseconds)
        printf '%s$ %s%s\n' "$dim" \
                "fairlead-apiserver --data-dir $folder/data --bind-address 127.0.0.1 --secure-port $port" "$off"
        setsid "$server" --data-dir "$folder/data" --bind-address 127.0.0.1 --secure-port "$port" \
                </dev/null >"$folder/apiserver.log" 2>&1 &
        pid=$!
        for _ in $(seq 1000); do
                if [ "$(curl -sk --max-time 2 "https://127.0.0.1:$port/readyz" 2>/dev/null)" = ok ]; then
                        echo "ready after $(($(milliseconds) - begun)) ms, keys and certificates made on the way"
                        return 0
                fi
                kill -0 "$pid" 2>/dev/null || {
                        echo "the server ended"
                        return 1
                }
                sleep 0.01
        done
        echo "the server did not get ready in time"
        return 1
}

manifest() {
        cat <<'END'
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  replicas: 3
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: nginx:1.27
        ports:
        - {name: http, containerPort: 80}
---
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
spec:
  type: NodePort
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: http}
END
}

tour() {
        say "2. What a fresh cluster holds"
        run kubectl get --raw /version
        run kubectl get namespaces
        run kubectl get services,endpointslices --namespace default

        say "3. An application: a namespace, a Deployment and a Service"
        run kubectl create namespace shop
        manifest >"$folder/web.yaml"
        run kubectl apply -f "$folder/web.yaml"

        say "4. What came of it: defaults filled in, an address and a node port allocated"
        run kubectl get deployments,services --namespace shop -o wide
        run kubectl get deployment web --namespace shop -o jsonpath='{.spec.strategy}{"\n"}'

        say "5. Patches, conflicts and bad input are answered as Kubernetes answers them"
        run kubectl scale deployment web --namespace shop --replicas=5
        run kubectl set image deployment/web --namespace shop web=nginx:1.28
        run kubectl create namespace 'Not_A_Name' || true
        run kubectl explain deployment.spec.strategy
}

leave_running() {
        echo "$pid" >"$folder/pid"
        say "It is still running (pid $pid). Go on with:"
        cat <<END
  export KUBECONFIG=$KUBECONFIG
  kubectl get all --all-namespaces
  kubectl get deployments --all-namespaces --watch
  kubectl apply --server-side --field-manager=me -f $folder/web.yaml
  curl --cacert $folder/data/pki/ca.crt https://127.0.0.1:$port/readyz?verbose
End it:     kill $pid
Its log:    $folder/apiserver.log
END
        pid=
}

main() {
        [ -x "$server" ] || {
                echo "demo: no $server; run \`make demo\`, which builds it" >&2
                exit 1
        }
        end_earlier
        rm -rf "$folder"
        mkdir -p "$folder"
        export KUBECONFIG=$folder/data/pki/admin.kubeconfig KUBECACHEDIR=$folder/cache

        say "1. An API server with an empty store"
        start_server
        tour
        if [ -n "$keep" ]; then
                leave_running
                return
        fi
        say "6. The end: the server stops and its data goes"
        stop_server "$pid"
        echo "Try next: \`make demo KEEP=1\` leaves it running for your own kubectl; \`make help\` lists the rest."
        echo "No controllers are there yet: nothing runs the Deployment's pods. What follows plugs pods in itself."
}

main
