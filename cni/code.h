/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the plugin answers when it cannot do what it was asked: the codes of the CNI specification, and from 100 on our
 * own. Functions of cni/ return 0, one of these (always with a message in reterr), or a negative errno, which reaches
 * the caller as CNI_IO.
 */
#pragma once

enum cni_code {
        CNI_BAD_VERSION = 1,       /* cniVersion, or the verb does not exist in it */
        CNI_UNSUPPORTED_FIELD = 2, /* the message holds key and value */
        CNI_NO_CONTAINER = 3,      /* its network namespace does not exist */
        CNI_BAD_ENVIRONMENT = 4,   /* the message names the variable */
        CNI_IO = 5,
        CNI_UNDECODABLE = 6,    /* standard input is no JSON object */
        CNI_BAD_CONFIG = 7,     /* JSON, but not a network configuration that makes sense */
        CNI_TRY_LATER = 11,     /* the agent is not there (yet) or refuses */
        CNI_NOT_AVAILABLE = 50, /* STATUS: an ADD would fail */
        CNI_LIMITED = 51,       /* STATUS: an ADD would fail, and what is attached may not follow changes */

        CNI_EXISTS = 100,          /* ADD: this attachment, or an interface of that name, is there already */
        CNI_NO_ADDRESS = 101,      /* every address of the node's pod CIDRs is given out */
        CNI_ADDRESS_REFUSED = 102, /* a requested address is outside of the ranges, reserved, or in use */
        CNI_KERNEL = 103,          /* the kernel refused a device, address, route or neighbour */
        CNI_IPAM = 104,            /* the delegated IPAM plugin is missing, or its answer makes no sense */

        /* CHECK: the first difference; the details name all of them. */
        CNI_CHECK_RECORD = 110,     /* no record, or one of another network namespace or network */
        CNI_CHECK_HOST = 111,       /* the host side is missing, down, or another one */
        CNI_CHECK_POD = 112,        /* the pod's interface is missing, down, or another one */
        CNI_CHECK_MAC = 113,        /* of either side */
        CNI_CHECK_MTU = 114,        /* the pod's */
        CNI_CHECK_ADDRESS = 115,    /* missing, foreign, or not leased */
        CNI_CHECK_ROUTE = 116,      /* a default route or the one to its gateway */
        CNI_CHECK_NEIGHBOUR = 117,  /* of a gateway */
        CNI_CHECK_PREV_RESULT = 118 /* prevResult does not describe this attachment */
};
