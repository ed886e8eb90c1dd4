#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# runner: alone
# What fairlead-agent keeps on its node: devices, routes, neighbours, settings, programs and files, from Node objects and
# the CNI plugin's records. Everybody takes something away, and it is back within a second; kill -9 anywhere loses
# nothing; cleanup leaves nothing. All in a network namespace without a way out.

. "$(dirname "$0")/../harness/tap.sh"

[ "$(id -u)" = 0 ] || skip_all "network namespaces and BPF need root"
for tool in ip nsenter unshare kubectl python3; do
        command -v "$tool" >/dev/null || skip_all "$tool is missing (make deps)"
done
top=$(cd "$(dirname "$0")/../.." && pwd)
bin=${FL_BUILD:-$top/build}
[ -x "$bin/fairlead-agent" ] || skip_all "fairlead-agent has not been built"

if [ "${1:-}" != inside ]; then
        why=$(unshare --net --mount --propagation private true 2>&1) ||
                skip_all "network namespaces cannot be made here: $why"
        exec unshare --net --mount --propagation private "$0" inside
fi

tmp=$(mktemp -d -t fairlead-test.XXXXXX)
api='' agent='' pod=''
export KUBECONFIG=$tmp/data/pki/admin.kubeconfig HOME=$tmp
links=$tmp/bpf/v1/links

cleanup() {
        for p in $agent $api $pod; do
                kill "$p" 2>/dev/null
                wait "$p" 2>/dev/null
        done
        umount "$tmp/bpf" 2>/dev/null
        rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 143' TERM INT

# within MILLISECONDS NAME COMMAND...: the command succeeds by then; how long it took is a comment.
within() {
        local limit=$1 name=$2 start now
        shift 2
        start=$(date +%s%N)
        until "$@" >/dev/null 2>&1; do
                now=$(date +%s%N)
                if [ $(((now - start) / 1000000)) -gt "$limit" ]; then
                        not_ok "$name" "not within $limit ms: $*
$(tail -n 5 "$tmp/agent.log")"
                        return 1
                fi
                sleep 0.02
        done
        now=$(date +%s%N)
        ok 0 "$name"
        diag "$(((now - start) / 1000000)) ms"
}

settings() {
        echo "kubeconfig: $KUBECONFIG
nodeName: n1
routing: ${1:-vxlan}
socketPath: false
pinRoot: $tmp/bpf
runDir: $tmp/run
cniConfDir: $tmp/cni
healthAddress: 127.0.0.1:10256" >"$tmp/agent.yaml"
}

start_agent() {
        "$bin/fairlead-agent" --config "$tmp/agent.yaml" 2>>"$tmp/agent.log" &
        agent=$!
}

stop_agent() { # signal
        kill -"$1" "$agent"
        wait "$agent" 2>/dev/null
        agent=
}

node() { # name, podCIDRs, InternalIPs
        python3 - "$@" <<'END' | kubectl apply -f - >/dev/null && kubectl patch node "$1" --subresource=status \
                --type=merge -p "$(python3 -c 'import json, sys
print(json.dumps({"status": {"addresses": [{"type": "InternalIP", "address": a} for a in sys.argv[1].split()]}}))' "$3")" >/dev/null
import json, sys
cidrs = sys.argv[2].split()
print(json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {"name": sys.argv[1]}, "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs}}))
END
}

ask() { # line
        python3 - "$tmp/run/agent.sock" "$1" <<'END'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b"\n")
print(s.makefile().readline().strip())
END
}

has() { # text, word...: each is in it
        local text=$1
        shift
        for word in "$@"; do
                case $text in
                *"$word"*) ;;
                *) return 1 ;;
                esac
        done
}

status_has() { # words
        has "$(ask '{"op":"status"}')" "$@"
}

link_is() { # device, words
        has "$(ip link show "$1")" "${@:2}"
}

neighbour_is() { # device, words
        has "$(ip neighbour show dev "$1")" "${@:2}"
}

repairs() {
        grep -c "msg=repaired" "$tmp/agent.log"
}

vxlan_is() { # words of ip -d link
        has "$(ip -d link show fairlead_vxlan 2>/dev/null)" "$@"
}

route_is() { # prefix, words
        local prefix=$1 family=-4
        shift
        case $prefix in *:*) family=-6 ;; esac
        has "$(ip $family route show exact "$prefix" 2>/dev/null)" proto "$@"
}

no_route() {
        [ -z "$(ip -4 route show exact "$1" 2>/dev/null)" ]
}

setting_is() { # path, value
        [ "$(cat "/proc/sys/$1")" = "$2" ]
}

programs() { # device: how many TCX programs are attached there
        python3 -c 'import os, sys
sys.path.insert(0, sys.argv[1])
import lab_kernel, socket
print(len(lab_kernel.attached_to_device(socket.if_nametoindex(sys.argv[2]))))' "$top/tests/harness" "$1"
}

programs_are() { # device, count
        [ "$(programs "$1")" = "$2" ]
}

take_program() { # pin
        python3 -c 'import sys
sys.path.insert(0, sys.argv[1])
import lab_kernel
lab_kernel.detach(sys.argv[2])' "$top/tests/harness" "$1"
}

replace_vxlan() {
        ip link delete fairlead_vxlan && ip link add fairlead_vxlan type vxlan id 7 dstport 4789 local 10.99.0.1
}

index_of() {
        ip -o link show "$1" | cut -d: -f1 # /sys is still that of another network namespace
}

plug_pod() { # record's name, device, IPv4, IPv6: a veth whose other end lies in another namespace, as the plugin makes
        ip link add "$2" address 02:00:00:00:00:01 type veth peer name "x$2" address 02:00:00:00:00:0a netns "$pod" &&
                ip link set "$2" up && nsenter -t "$pod" -n ip link set "x$2" up && record "$@"
}

record() {
        mkdir -p "$tmp/run/attachments"
        cat >"$tmp/run/attachments/.$1" <<END
{"version":1,"containerID":"${1%-*}","ifname":"${1##*-}","netns":"x","network":"fairlead","podNamespace":"default","podName":"web",
"hostIfname":"$2","hostIfindex":$(index_of "$2"),"hostMac":"02:00:00:00:00:01","mac":"02:00:00:00:00:0a","addresses":["$3","$4"]}
END
        mv "$tmp/run/attachments/.$1" "$tmp/run/attachments/$1.json"
}

unplug_nic() {
        ip link delete eth0
}

plug_nic() {
        ip link add eth0 mtu "${1:-1500}" type veth peer name far && ip link set eth0 up && ip link set far up &&
                ip address add 10.99.0.1/24 dev eth0 && ip address add fd99::1/64 dev eth0 nodad &&
                ip route add default via 10.99.0.254
}

# ---- the cluster: an API server and two nodes of which one is here

ip link set lo up
succeeds "a NIC is plugged in" plug_nic || exit 1
sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.ipv6.conf.eth0.accept_ra=1
"$bin/fairlead-apiserver" --data-dir "$tmp/data" --bind-address 127.0.0.1 --secure-port 6443 2>"$tmp/api.log" &
api=$!
unshare --net sleep 1000 &
pod=$!
within 20000 "the API server is up" kubectl get --raw /readyz || exit 1
node n1 "10.244.1.0/24 fd00:1::/64" "192.0.2.77 10.99.0.1 fd99::1"
node n2 "10.244.2.0/24 fd00:2::/64" "10.99.0.2 fd99::2"
settings
start_agent

# ---- what it makes

within 5000 "the CNI configuration appears" test -s "$tmp/cni/05-fairlead.conflist" || exit 1
like "$(cat "$tmp/run/node.json")" '"podCIDRs":\["10.244.1.0/24","fd00:1::/64"\],"mtu":1450.*"hostAddresses":\["10.99.0.1","fd99::1"\]' \
        "node.json says what pods get"
like "$(ask '{"op":"status"}')" '^\{"ok":true,"ready":true,"problem":""\}$' "the node is ready"
succeeds "the vxlan device is as it should be" vxlan_is "mtu 1450" NOARP,UP "vxlan external" "dstport 8472" nolearning udp6zerocsumrx
succeeds "the other node's pods are behind it" route_is 10.244.2.0/24 "dev fairlead_vxlan" "src 10.99.0.1"
succeeds "in IPv6, too" route_is fd00:2::/64 "dev fairlead_vxlan" "src fd99::1"
succeeds "own pods that are not there are unreachable" route_is 10.244.1.0/24 unreachable
succeeds "packets are forwarded" setting_is net/ipv4/ip_forward 1
succeeds "in IPv6, too" setting_is net/ipv6/conf/all/forwarding 1
succeeds "router advertisements go on being accepted" setting_is net/ipv6/conf/eth0/accept_ra 2
is "$(programs eth0) $(programs fairlead_vxlan)" "2 2" "programs are attached"

# ---- what others break

ip link delete fairlead_vxlan
within 1000 "a vxlan device that was deleted is back" vxlan_is NOARP,UP "vxlan external"
within 1000 "and its routes" route_is 10.244.2.0/24 "dev fairlead_vxlan"
within 1000 "and its programs" programs_are fairlead_vxlan 2
ip link set fairlead_vxlan down
within 1000 "one that was set down is up" vxlan_is NOARP,UP
within 1000 "and its routes are back" route_is fd00:2::/64 "dev fairlead_vxlan"
ip link set fairlead_vxlan mtu 1300
within 1000 "its MTU is put right" vxlan_is "mtu 1450"
kill -STOP "$agent"
succeeds "somebody makes another device of that name" replace_vxlan
kill -CONT "$agent"
within 1000 "another device of its name is replaced" vxlan_is "vxlan external" "dstport 8472"
ip route delete 10.244.2.0/24
within 1000 "a route that was deleted is back" route_is 10.244.2.0/24 "dev fairlead_vxlan"
ip route replace 10.244.2.0/24 dev eth0 proto 152
within 1000 "one that was changed is put right" route_is 10.244.2.0/24 "dev fairlead_vxlan" "src 10.99.0.1"
sysctl -qw net.ipv4.ip_forward=0
within 1000 "forwarding is switched on again" setting_is net/ipv4/ip_forward 1
sysctl -qw net.ipv4.conf.fairlead_vxlan.rp_filter=1
within 1000 "the reverse path filter is off again" setting_is net/ipv4/conf/fairlead_vxlan/rp_filter 0
sysctl -qw net.ipv4.conf.all.rp_filter=2
within 1000 "for all it is off" setting_is net/ipv4/conf/all/rp_filter 0
succeeds "and in force where it was" setting_is net/ipv4/conf/eth0/rp_filter 2
succeeds "but for fairlead's devices" setting_is net/ipv4/conf/fairlead_vxlan/rp_filter 0
succeeds "somebody takes a program" take_program "$links/from_uplink_$(index_of eth0)"
within 1000 "a program that was taken from the NIC is back" programs_are eth0 2
succeeds "somebody takes a program" take_program "$links/to_overlay_$(index_of fairlead_vxlan)"
within 1000 "one of the vxlan device, too" programs_are fairlead_vxlan 2
succeeds "each repair is in the log" test "$(repairs)" -ge 10
ip route add 10.244.9.0/24 dev eth0
ip address flush dev eth0
within 1000 "an address that is gone is reported" status_has "no NIC of this host has an InternalIP"
ip address add 10.99.0.1/24 dev eth0
ip address add fd99::1/64 dev eth0 nodad
within 1000 "with it the routes get their source again" route_is 10.244.2.0/24 "src 10.99.0.1"
ip route add default via 10.99.0.254
unplug_nic
within 1000 "a NIC that is gone leaves the node without one" status_has "no NIC"
plug_nic 1400
within 1000 "a new one is taken into use" programs_are eth0 2
within 1000 "and its MTU" vxlan_is "mtu 1350"
within 1000 "also for pods" grep -q '"mtu":1350' "$tmp/run/node.json"

# ---- other nodes

kubectl delete node n2 >/dev/null
within 1000 "a node that is gone has no route any more" no_route 10.244.2.0/24
node n2 "10.244.2.0/24" "10.99.0.2"
within 1000 "one that comes has one" route_is 10.244.2.0/24 "dev fairlead_vxlan"
node n3 "10.244.1.0/24" "10.99.0.3"
within 1000 "a node with our pods' range is reported" status_has "podCIDR 10.244.1.0/24 of node n3"
kubectl delete node n3 >/dev/null

# ---- pods

succeeds "a pod is plugged in" plug_pod c1-eth0 fl0123456789ab 10.244.1.5 fd00:1::5
is "$(ask '{"op":"attach","id":"c1-eth0"}')" '{"ok":true}' "the agent says so"
is "$(programs fl0123456789ab)" 2 "its programs are there"
succeeds "its route" route_is 10.244.1.5 "dev fl0123456789ab" "src 10.99.0.1"
succeeds "in IPv6, too" route_is fd00:1::5 "dev fl0123456789ab" "src fd99::1"
like "$(ip neighbour show dev fl0123456789ab)" '10.244.1.5 lladdr 02:00:00:00:00:0a PERMANENT' "and its neighbour entry"
is "$(ask '{"op":"attach","id":"c1-eth0"}')" '{"ok":true}' "asking again does no harm"
like "$(ask '{"op":"attach","id":"c2-eth0"}')" '"ok":false,"error":".*c2-eth0.json: No such file' "a pod without a record is refused"
before=$(repairs)
sleep 1
is "$(repairs)" "$before" "plugging in is no repair"
ip neighbour delete 10.244.1.5 dev fl0123456789ab
within 1000 "a neighbour entry that was deleted is back" neighbour_is fl0123456789ab "10.244.1.5 lladdr 02:00:00:00:00:0a PERMANENT"
ip route delete 10.244.1.5
within 1000 "a pod's route that was deleted is back" route_is 10.244.1.5 "dev fl0123456789ab"
ip link set fl0123456789ab down
within 1000 "a pod's device that was set down is up" link_is fl0123456789ab ",UP"
within 1000 "and its routes are back" route_is fd00:1::5 "dev fl0123456789ab"
succeeds "somebody takes a program" take_program "$links/from_pod_$(index_of fl0123456789ab)"
within 1000 "a program that was taken from a pod is back" programs_are fl0123456789ab 2
sysctl -qw net.ipv4.conf.fl0123456789ab.rp_filter=1
within 1000 "its reverse path filter is off again" setting_is net/ipv4/conf/fl0123456789ab/rp_filter 0
succeeds "another pod is plugged in" plug_pod c3-eth0 fl0000000000c3 10.244.1.6 fd00:1::6
within 1000 "a record is enough, without asking" route_is 10.244.1.6 "dev fl0000000000c3"
echo '{"version":1' >"$tmp/run/attachments/c4-eth0.json"
within 2000 "a damaged record is reported" status_has "record c4-eth0"
rm "$tmp/run/attachments/c4-eth0.json"
succeeds "a third one is plugged in" plug_pod c5-eth0 fl0000000000c5 10.244.1.5 fd00:1::7
like "$(ask '{"op":"attach","id":"c5-eth0"}')" 'an address of it belongs to attachment c1-eth0' "an address of another pod is refused"
succeeds "whose own stays" route_is 10.244.1.5 "dev fl0123456789ab"
rm "$tmp/run/attachments/c5-eth0.json"

# ---- kill -9

gone=$(index_of fl0000000000c3)
stop_agent KILL
ip route delete 10.244.2.0/24
ip link delete fl0000000000c3
rm "$tmp/run/attachments/c3-eth0.json"
is "$(programs fl0123456789ab)" 2 "after kill -9 programs stay"
succeeds "and routes" route_is 10.244.1.5 "dev fl0123456789ab"
ip link add fl00000000dead type veth peer name dead
succeeds "its pin is there" test -e "$links/from_pod_$gone"
start_agent
within 5000 "a new agent puts right what was broken meanwhile" route_is 10.244.2.0/24 "dev fairlead_vxlan"
within 2000 "what is left of a pod that went is gone" test ! -e "$links/from_pod_$gone"
like "$("$bin/fairlead-agent" --config "$tmp/agent.yaml" 2>&1)" "another fairlead-agent runs on this" "a second agent is refused"
within 14000 "a pod's veth that nobody claims is removed" eval '! ip link show fl00000000dead'
succeeds "one that has a record is not" ip link show fl0123456789ab
ip link delete fl0123456789ab
within 1000 "a pod whose veth is gone has no route" no_route 10.244.1.5
is "$(ls "$tmp/run/attachments")" c1-eth0.json "its record waits for the plugin"
is "$(ask '{"op":"detach","id":"c1-eth0"}')" '{"ok":true}' "which says so when it comes"
rm "$tmp/run/attachments/c1-eth0.json"

# ---- native routing, and the end

stop_agent TERM
settings native
start_agent
within 5000 "with native routing the other node is the next hop" route_is 10.244.2.0/24 "via 10.99.0.2" "dev eth0"
within 2000 "and the vxlan device goes" eval '! ip link show fairlead_vxlan'
within 2000 "pods get the whole MTU" grep -q '"mtu":1400' "$tmp/run/node.json"
like "$("$bin/fairlead-agent" cleanup --config "$tmp/agent.yaml" 2>&1)" "stop it first" "cleanup while it runs is refused"
stop_agent TERM
succeeds "cleanup" "$bin/fairlead-agent" cleanup --config "$tmp/agent.yaml"
is "$(ip -o link show | grep -E ' (fairlead|fl[0-9a-f]{12})')$(ip route | grep 152)$(ip -6 route | grep 152)" "" \
        "leaves neither devices nor routes"
is "$(ls -A "$tmp/run" "$tmp/cni" "$tmp/bpf" 2>/dev/null | grep -v :)" "" "nor files"
is "$(programs eth0)" 0 "nor programs"
succeeds "and can be done again" "$bin/fairlead-agent" cleanup --config "$tmp/agent.yaml"
unlike "$(grep -E 'level=error|AddressSanitizer' "$tmp/agent.log")" . "no error was logged"
done_testing
