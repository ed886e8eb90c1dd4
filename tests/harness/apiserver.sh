# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A fairlead-apiserver of one's own for a test script, in a temporary folder, on a free port of 127.0.0.1. It is stopped,
# by its pid, and the folder removed when the script ends, however it ends.
#
#   . "$(dirname "$0")/../harness/tap.sh"
#   . "$(dirname "$0")/../harness/apiserver.sh"
#   apiserver_start                          # more arguments go to the server
#   is "$(k get ns default -o name)" "namespace/default" "the namespace is there"
#   done_testing
#
# Sets: KUBECONFIG (admin), APISERVER_URL, APISERVER_PID, APISERVER_DATA, APISERVER_LOG, TMP (the test's own folder).

FL_TOP=${FL_TOP:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
FL_BUILD=${FL_BUILD:-$FL_TOP/build}
TMP=$(mktemp -d "${TMPDIR:-/tmp}/fairlead-test.XXXXXX")
APISERVER_DATA=$TMP/data
APISERVER_LOG=$TMP/apiserver.log
APISERVER_PID=
APISERVER_PORT=
export KUBECONFIG=$APISERVER_DATA/pki/admin.kubeconfig
export HOME=$TMP # kubectl's discovery cache is the test's own

apiserver_cleanup() {
        local code=$?
        trap - EXIT INT TERM
        if [ -n "$APISERVER_PID" ]; then
                kill "$APISERVER_PID" 2>/dev/null || true
                apiserver_wait_end 50 || kill -KILL "$APISERVER_PID" 2>/dev/null || true
                wait "$APISERVER_PID" 2>/dev/null || true
        fi
        if [ "$code" != 0 ] && [ -s "$APISERVER_LOG" ]; then
                echo "# the server's log ended so:"
                tail -n 20 "$APISERVER_LOG" | sed 's/^/#   /'
        fi
        rm -rf "$TMP"
        exit "$code"
}
trap apiserver_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# kubectl as it is on this machine, and Debian's 1.20 (unpacked by `make deps`).
k() {
        kubectl "$@"
}
KUBECTL_120=$FL_TOP/build/kubectl-1.20/kubectl
k120() {
        "$KUBECTL_120" "$@"
}

free_port() {
        python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

apiserver_wait_end() { # tenths of a second
        local i
        for ((i = 0; i < $1; i++)); do
                kill -0 "$APISERVER_PID" 2>/dev/null || return 0
                sleep 0.1
        done
        return 1
}

apiserver_wait_ready() { # tenths of a second
        local i
        for ((i = 0; i < $1; i++)); do
                [ "$(curl -sk --max-time 2 "$APISERVER_URL/readyz" 2>/dev/null)" = ok ] && return 0
                kill -0 "$APISERVER_PID" 2>/dev/null || return 1
                sleep 0.1
        done
        return 1
}

# Starts the server, and returns when it is ready. Started again it keeps its port, which the kubeconfig names.
apiserver_start() { # arguments
        local try tries=1
        [ -e "$KUBECONFIG" ] || tries=3 # another test may take the port before the server has it
        for ((try = 0; try < tries; try++)); do
                if [ "$tries" != 1 ]; then
                        rm -rf "$APISERVER_DATA"
                        APISERVER_PORT=$(free_port)
                fi
                APISERVER_URL=https://127.0.0.1:$APISERVER_PORT
                "$FL_BUILD/fairlead-apiserver" --data-dir "$APISERVER_DATA" --bind-address 127.0.0.1 \
                        --secure-port "$APISERVER_PORT" "$@" >>"$APISERVER_LOG" 2>&1 &
                APISERVER_PID=$!
                apiserver_wait_ready 200 && return 0
                kill -KILL "$APISERVER_PID" 2>/dev/null
                wait "$APISERVER_PID" 2>/dev/null
        done
        APISERVER_PID=
        echo "Bail out! fairlead-apiserver does not get ready"
        exit 1
}

apiserver_stop() { # gracefully; its exit code is returned
        local pid=$APISERVER_PID
        kill "$pid" && apiserver_wait_end 100 || return 1
        APISERVER_PID=
        wait "$pid"
}

apiserver_kill() { # as a power cut would
        kill -KILL "$APISERVER_PID"
        wait "$APISERVER_PID" 2>/dev/null
        APISERVER_PID=
}

# Repeats a command until it succeeds; fails when it has not after so many seconds.
eventually() { # seconds, command
        local end=$((SECONDS + $1))
        shift
        until "$@" >/dev/null 2>&1; do
                [ $SECONDS -lt $end ] || return 1
                sleep 0.1
        done
}
