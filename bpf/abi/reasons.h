/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What became of a packet. A stage returns a reason; one exit counts it and gives the hook's verdict. Those up to
 * REASON_FORWARDED are no drops. X(name, metric label, text for people): append only, the numbers are kept in pinned
 * maps.
 */
#pragma once

#define REASONS(X)                                                                                                     \
        X(OK, "ok", "not ours: left to the kernel")                                                                    \
        X(TRANSLATED, "translated", "translated, left to the kernel to deliver")                                       \
        X(FORWARDED, "forwarded", "sent on by the dataplane")                                                          \
        X(REFUSED, "refused", "answered with a refusal")                                                               \
        X(NO_ENDPOINTS, "no_endpoints", "the service has no endpoints")                                                \
        X(NO_LOCAL_ENDPOINTS, "no_local_endpoints", "the traffic policy is Local and no endpoint is on this node")     \
        X(UNKNOWN_PORT, "unknown_port", "the service address has no such port")                                        \
        X(SOURCE_RANGE, "source_range", "the source is not in loadBalancerSourceRanges")                               \
        X(SPOOFED, "spoofed", "the source address is not the pod's")                                                   \
        X(MALFORMED, "malformed", "the headers contradict each other or the packet is cut short")                      \
        X(UNSUPPORTED, "unsupported", "a protocol that the service path does not carry")                               \
        X(FRAGMENT, "fragment", "a fragment whose first part has not been seen")                                       \
        X(SNAT_PORTS, "snat_ports", "no source port is free")                                                          \
        X(FLOW_TABLE, "flow_table", "no room in the flow table")                                                       \
        X(NO_ROUTE, "no_route", "no route to the destination")                                                         \
        X(TTL, "ttl", "the hop limit is exceeded")                                                                     \
        X(TOO_BIG, "too_big", "larger than the path's MTU")                                                            \
        X(NO_ENCAP, "no_encap", "the tunnel header could not be set")                                                  \
        X(RATE_LIMIT, "rate_limit", "above the pod's bandwidth limit")                                                 \
        X(NO_ROOM, "no_room", "the packet could not be changed")                                                       \
        X(NO_BACKEND, "no_backend", "the chosen backend is gone")                                                      \
        X(BIND_TAKEN, "bind_taken", "the port belongs to a NodePort service")                                          \
        X(INTERNAL, "internal", "a fault of the dataplane itself")

enum reason {
#define X(name, label, text) REASON_##name,
        REASONS(X)
#undef X
                REASON_COUNT,
};

/* Where it happened. */
#define HOOKS(X)                                                                                                       \
        X(SOCK, "sock")                                                                                                \
        X(FROM_POD, "from_pod")                                                                                        \
        X(TO_POD, "to_pod")                                                                                            \
        X(OVERLAY, "overlay")                                                                                          \
        X(TO_OVERLAY, "to_overlay")                                                                                    \
        X(UPLINK, "uplink")                                                                                            \
        X(TO_UPLINK, "to_uplink")                                                                                      \
        X(EDGE, "edge")                                                                                                \
        X(TO_LO, "to_lo")

enum hook {
#define X(name, label) HOOK_##name,
        HOOKS(X)
#undef X
                HOOK_COUNT,
};
