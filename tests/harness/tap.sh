# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# TAP for test scripts in shell: each check prints a line, a failed one also says what came and what was wanted.
#
#   . "$(dirname "$0")/../harness/tap.sh"
#   is "$(kubectl get ns -o name)" "namespace/default" "the namespace is there"
#   done_testing          # last; prints the plan; the script exits with 1 when anything failed

tap_count=0
tap_failed=0

diag() {
        printf '%s\n' "$*" | sed 's/^/# /'
}

ok() { # exit code, name
        tap_count=$((tap_count + 1))
        if [ "$1" = 0 ]; then
                echo "ok $tap_count - $2"
                return 0
        fi
        tap_failed=$((tap_failed + 1))
        echo "not ok $tap_count - $2"
        return 1
}

not_ok() { # name, why
        ok 1 "$1" || diag "${2:-}"
}

is() { # got, want, name
        if [ "$1" = "$2" ]; then
                ok 0 "$3"
        else
                ok 1 "$3" || diag "got:  $1
want: $2"
        fi
}

like() { # text, extended regular expression (a line of the text must match), name
        if printf '%s\n' "$1" | grep -Eq -- "$2"; then
                ok 0 "$3"
        else
                ok 1 "$3" || diag "got:  $1
want: something like /$2/"
        fi
}

unlike() { # text, extended regular expression that no line may match, name
        if printf '%s\n' "$1" | grep -Eq -- "$2"; then
                ok 1 "$3" || diag "got:  $1
want: nothing like /$2/"
        else
                ok 0 "$3"
        fi
}

# succeeds NAME COMMAND...: the command exits with 0. Its output is in $output.
succeeds() {
        local name=$1
        shift
        if output=$("$@" 2>&1); then
                ok 0 "$name"
        else
                ok 1 "$name" || diag "exit code $? of: $*
$output"
        fi
}

# fails NAME COMMAND...: the command exits with something else than 0. Its output is in $output.
fails() {
        local name=$1
        shift
        if output=$("$@" 2>&1); then
                ok 1 "$name" || diag "exit code 0 of: $*
$output"
        else
                ok 0 "$name"
        fi
}

skip() { # name, reason
        tap_count=$((tap_count + 1))
        echo "ok $tap_count - $1 # SKIP $2"
}

skip_all() { # reason
        echo "1..0 # SKIP $1"
        exit 0
}

done_testing() {
        echo "1..$tap_count"
        [ "$tap_failed" = 0 ]
}
