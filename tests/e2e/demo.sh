#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=420
# runner: alone
#
# `make demo`: it checks what it shows, and ends with 1 when something does not come out as it should.
. "$(dirname "$0")/../harness/tap.sh"
cd "$(dirname "$0")/../.." || exit 1
export FL_BUILD="${FL_BUILD:-build}"

[ "$(id -u)" = 0 ] || skip_all "a cluster in namespaces needs root"
[ -x "$FL_BUILD/fairlead-kubelet" ] || skip_all "fairlead-kubelet has not been built"
for program in umoci skopeo crun tcpdump curl; do
        command -v $program >/dev/null || skip_all "$program is not installed"
done

said=$(mktemp)
trap 'rm -f "$said"' EXIT
tools/demo/demo.py --name "demo-$$" >"$said" 2>&1
is $? 0 "the demo comes to its end" "$(tail -n 40 "$said")"
like "$(cat "$said")" "requests answered, 0 failed" "no request failed during its rolling update"
like "$(cat "$said")" "nothing is left" "nothing is left of it"
like "$(cat "$said")" "no packet of the cluster passed a network device of this machine" "and it has sent nothing anywhere"
sed -n 's/^  \(.*\)/# \1/p' "$said" | sed -n '/up in\|all of them\|answered\|memory\|ready after/p'
done_testing
