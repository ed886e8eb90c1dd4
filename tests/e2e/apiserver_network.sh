#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# runner: alone
# A server and its clients on different hosts: two network namespaces joined by a cable, without a way out. The server
# says where it is, holds a watch over a cable that is pulled and put back, and nothing leaves the two.

. "$(dirname "$0")/../harness/tap.sh"

[ "$(id -u)" = 0 ] || skip_all "network namespaces need root"
for tool in ip nsenter kubectl; do
        command -v "$tool" >/dev/null || skip_all "$tool is missing (make deps)"
done

top=$(cd "$(dirname "$0")/../.." && pwd)
bin=${FL_BUILD:-$top/build}/fairlead-apiserver
server=fl-e2e-$$-s client=fl-e2e-$$-c
tmp=$(mktemp -d -t fairlead-test.XXXXXX)
pid= watcher=

cleanup() {
        for p in $pid $watcher; do
                kill "$p" 2>/dev/null
                wait "$p" 2>/dev/null
        done
        ip netns delete "$server" 2>/dev/null
        ip netns delete "$client" 2>/dev/null
        rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 143' TERM INT

at() { # namespace, command...
        local name=$1
        shift
        nsenter --net=/run/netns/"$name" "$@"
}

k() {
        at "$client" kubectl --kubeconfig "$tmp/data/pki/admin.kubeconfig" --cache-dir "$tmp/cache" --request-timeout=5s "$@"
}

wait_for() { # seconds, command...
        local end=$((SECONDS + $1))
        shift
        until "$@" >/dev/null 2>&1; do
                [ "$SECONDS" -lt "$end" ] || return 1
                sleep 0.1
        done
}

lay_cable() {
        ip -n "$server" link add cable type veth peer name cable netns "$client" &&
                ip -n "$server" address add 10.99.0.1/24 dev cable && ip -n "$client" address add 10.99.0.2/24 dev cable &&
                for n in "$server" "$client"; do ip -n "$n" link set lo up && ip -n "$n" link set cable up || return; done
}

# Nothing may run where the lab is not: without namespaces it would be this machine's own network.
if ! why=$(ip netns add "$server" 2>&1 && ip netns add "$client" 2>&1 && ip -n "$client" link show lo 2>&1 >/dev/null); then
        skip_all "network namespaces cannot be made here: $(printf '%s' "$why" | head -n 1)"
fi
succeeds "two hosts are joined" lay_cable || exit 1
is "$(ip -n "$server" route show default)$(ip -n "$client" route show default)" "" "neither has a way out"

nsenter --net=/run/netns/"$server" "$bin" --data-dir "$tmp/data" --bind-address 10.99.0.1 --secure-port 6443 2>"$tmp/log" &
pid=$!
succeeds "the server gets ready for a client elsewhere" wait_for 20 k get --raw /readyz
is "$(k get endpoints kubernetes -o jsonpath='{.subsets[0].addresses[0].ip}:{.subsets[0].ports[0].port}')" 10.99.0.1:6443 \
        "the kubernetes Endpoints say where it is"
is "$(k get endpointslice kubernetes -o jsonpath='{.endpoints[0].addresses[0]} {.endpoints[0].conditions.ready}')" \
        "10.99.0.1 true" "and so does its EndpointSlice"
is "$(at "$client" curl -s -o /dev/null -w '%{http_code}' --cacert "$tmp/data/pki/ca.crt" \
        --connect-to 10.96.0.1:443:10.99.0.1:6443 https://10.96.0.1/readyz)" 200 \
        "its certificate is good for the service address that pods use"
fails "other ports of the host are closed" at "$client" curl -sk --max-time 2 https://10.99.0.1:6444/

nsenter --net=/run/netns/"$client" kubectl --kubeconfig "$tmp/data/pki/admin.kubeconfig" --cache-dir "$tmp/cache" \
        get configmaps --watch --output name >"$tmp/watch" 2>&1 &
watcher=$!
k create configmap before >/dev/null
succeeds "a watch tells of a change" wait_for 5 grep -q configmap/before "$tmp/watch"
ip -n "$client" link set cable down
fails "without the cable there is no answer" k get namespaces
ip -n "$client" link set cable up
succeeds "with it there is one again" wait_for 10 k get namespaces
k create configmap after >/dev/null
succeeds "the watch has outlived it" wait_for 10 grep -q configmap/after "$tmp/watch"

kill "$pid"
wait "$pid"
is $? 0 "the server ends cleanly"
pid=
done_testing
