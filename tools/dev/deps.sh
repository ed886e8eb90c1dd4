#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what fairlead needs and this machine lacks, through apt; what is there is left alone.
#   deps.sh                 install what is missing
#   deps.sh --check [USE]   change nothing; name what is missing (of one use: build, check or test), exit 1 when something is
#   deps.sh kernels         install what `make check-kernels` alone needs, and unpack Debian's kernel for it into build/kernels
#
# A new dependency is one more line in the table: use, package, and how to see that it is there already without dpkg (a
# command, or a header for the C compiler; - when only dpkg knows).
set -eu

table() {
        cat <<END
build gcc                      gcc
build libc6-dev                <stdio.h>
build make                     make
test  libmicrohttpd-dev        <microhttpd.h>
build libmimalloc-dev          <mimalloc.h>
build libgnutls28-dev          <gnutls/gnutls.h>
build libjson-c-dev            <json-c/json.h>
build libcurl4-gnutls-dev      <curl/curl.h>
build libyaml-dev              <yaml.h>
build libsqlite3-dev           <sqlite3.h>
build libevent-dev             <event2/event.h>
build zlib1g-dev               <zlib.h>
build python3                  python3
build clang-16                 clang-16
build libbpf-dev               <bpf/libbpf.h>
build libelf-dev               <libelf.h>
build libnl-3-dev              -
build libnl-route-3-dev        -
check clang                    clang
check clang-format             clang-format
check clang-tidy               clang-tidy
check libclang-rt-14-dev       -
check libcmocka-dev            -
test  curl                     curl
test  openssl                  openssl
test  iproute2                 ip
test  util-linux               nsenter
test  iptables                 iptables-legacy
test  nftables                 nft
test  procps                   sysctl
test  python3-kubernetes       -
test  python3-yaml             -
test  kubernetes-client        kubectl
test  containernetworking-plugins -
test  containerd               containerd
test  runc                     runc
test  crun                     crun
test  busybox-static           -
test  skopeo                   skopeo
test  umoci                    umoci
test  docker-registry          docker-registry
test  python3-grpcio           -
test  iperf3                   iperf3
test  tcpdump                  tcpdump
test  bpftool                  bpftool
test  zsh                      zsh
test  tzdata                   -
kernels qemu-system-x86        qemu-system-x86_64
kernels cpio                   cpio
END
}

# Debian's own kubectl (1.20) is the oldest client that the tests drive. It is only unpacked, beside any other kubectl.
old_kubectl=build/kubectl-1.20

has_header() {
        printf '#include <stddef.h>\n#include <stdio.h>\n#include %s\n' "$1" | "${CC:-gcc}" -E -x c - >/dev/null 2>&1
}

is_installed() {
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

is_there() { # package, probe
        case $2 in
        -) is_installed "$1" ;;
        '<'*) is_installed "$1" || has_header "$2" ;;
        *) command -v "$2" >/dev/null 2>&1 || is_installed "$1" ;;
        esac
}

most() { # a use: prints it when it is meant where none is named
        [ "$1" = kernels ] || echo "$1"
}

missing_packages() { # [use]
        table | while read -r use package probe; do
                [ "${1:-$(most "$use")}" = "$use" ] || continue
                is_there "$package" "$probe" || printf '%s ' "$package"
        done
}

report() { # [use]
        table | while read -r use package probe; do
                [ "${1:-$(most "$use")}" = "$use" ] || continue
                if is_there "$package" "$probe"; then
                        printf '  %-22s there\n' "$package"
                else
                        printf '  %-22s missing (%s)\n' "$package" "$use"
                fi
        done
}

apt_update() {
        [ -z "${updated:-}" ] || return 0
        updated=1
        echo "  apt-get update"
        apt-get -qq update || echo "deps: apt-get update failed; going on with the package lists that are there" >&2
}

install_missing() { # [use]
        missing=$(missing_packages "$@")
        [ -n "$missing" ] || return 0
        if [ "$(id -u)" != 0 ]; then
                echo "deps: this needs root. Run:  sudo apt-get update && sudo apt-get install $missing" >&2
                exit 1
        fi
        apt_update
        for package in $missing; do
                printf '  %-22s installing\n' "$package"
        done
        # shellcheck disable=SC2086 # a list of package names
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends $missing \
                >build/deps.log 2>&1 || {
                tail -n 20 build/deps.log >&2
                echo "deps: apt-get could not install: $missing(whole log: build/deps.log)" >&2
                exit 1
        }
}

download_old_kubectl() { # folder
        (cd "$1" && apt-get -qq download kubernetes-client >/dev/null 2>&1)
}

unpack_old_kubectl() {
        name=$(basename "$old_kubectl")
        [ ! -x "$old_kubectl/kubectl" ] || {
                printf '  %-22s there\n' "$name"
                return 0
        }
        if is_installed kubernetes-client; then
                mkdir -p "$old_kubectl" && ln -sf /usr/bin/kubectl "$old_kubectl/kubectl"
                printf '  %-22s is the installed kubernetes-client\n' "$name"
                return 0
        fi
        tmp=$(mktemp -d build/kubectl.XXXXXX)
        trap 'rm -rf "$tmp"' EXIT
        if download_old_kubectl "$tmp" || { [ "$(id -u)" = 0 ] && apt_update && download_old_kubectl "$tmp"; }; then
                dpkg -x "$tmp"/*.deb "$tmp/x"
                mkdir -p "$old_kubectl"
                mv "$tmp/x/usr/bin/kubectl" "$old_kubectl/kubectl"
                printf '  %-22s unpacked from kubernetes-client\n' "$name"
        else
                printf '  %-22s not available through apt; the tests that drive it will be skipped\n' "$name"
        fi
}

# The newest kernel of that name that apt knows, only unpacked. Without apt's help the one from the last time does.
unpack_kernel() {
        kernel=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
        [ -z "$kernel" ] || [ ! -d "build/kernels/$kernel" ] || {
                printf '  %-22s there\n' "$kernel"
                touch "build/kernels/$kernel"
                return 0
        }
        tmp=$(mktemp -d build/kernel.XXXXXX)
        trap 'rm -rf "$tmp"' EXIT
        if [ -n "$kernel" ] && { (cd "$tmp" && apt-get -qq download "$kernel" >/dev/null 2>&1) ||
                { [ "$(id -u)" = 0 ] && apt_update && (cd "$tmp" && apt-get -qq download "$kernel" >/dev/null 2>&1); }; }; then
                dpkg -x "$tmp"/*.deb "$tmp/x"
                mkdir -p build/kernels
                mv "$tmp/x" "build/kernels/$kernel"
                touch "build/kernels/$kernel"
                printf '  %-22s unpacked\n' "$kernel"
        elif ls -d build/kernels/linux-image-* >/dev/null 2>&1; then
                echo "deps: apt has no newer linux-image-cloud-amd64 for us; going on with the kernel that is there" >&2
        else
                echo "deps: apt-get cannot download linux-image-cloud-amd64 (Debian 12's kernel for virtual machines)" >&2
                exit 1
        fi
}

main() {
        cd "$(dirname "$0")/../.."
        if [ "${1:-}" = --check ]; then
                missing=$(missing_packages "${2:-}")
                [ -n "$missing" ] || return 0
                echo "fairlead needs packages that are not installed: $missing" >&2
                echo "Run \`make deps\` (as root), or install them as you like." >&2
                return 1
        fi
        command -v apt-get >/dev/null || {
                report
                echo "deps: no apt-get here: install the missing ones by your own package manager" >&2
                [ -z "$(missing_packages)" ]
                return
        }
        mkdir -p build
        if [ "${1:-}" = kernels ]; then
                report kernels
                install_missing kernels
                unpack_kernel
                return
        fi
        report
        install_missing
        unpack_old_kubectl
}

main "$@"
