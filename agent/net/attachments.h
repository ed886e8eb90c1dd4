/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods that are plugged in here: what the CNI plugin's records say, brought into maps, programs, routes and
 * neighbours. A record is adopted when the plugin asks, or when its file is seen; it is forgotten when its file is
 * gone. While the veth of a record is gone (somebody deleted the namespace), its maps are clean and the record waits
 * for the plugin's DEL or GC.
 */
#pragma once

#include "agent/net/dataplane.h"
#include "agent/net/inputs.h"
#include "agent/net/record.h"
#include "agent/net/routemap.h"

struct attachments;

struct attachments_opts {
        const char *folder; /* of the records; it is made */
        const struct net_dataplane *dataplane;
        struct rtnl *rtnl;
        struct routemap *routes;
};

int attachments_new(const struct attachments_opts *opts, struct attachments **ret, struct err *reterr);
void attachments_free(struct attachments *a);
DEFINE_CLEANUP(struct attachments *, attachments_free)

/* Reads the record and puts everything in place; doing it again repairs. in: of the present round (its pods do not
 * matter, of its state the addresses). 0 or negative errno. */
int attachments_attach(struct attachments *a, const struct net_inputs *in, const char *id, struct err *reterr);
/* The pod is about to go: its map entries go now, its file is the plugin's. Unknown ids are nothing. */
void attachments_detach(struct attachments *a, const char *id);
/* Compares with the folder: new and changed records are attached, those whose files are gone forgotten. */
void attachments_scan(struct attachments *a, const struct net_inputs *in, struct problems *problems);
/* Compares with the kernel: veths that are gone, devices that are down and, when asked for (20 us a pod), programs that
 * somebody took away. Returns the number of repairs. */
uint32_t attachments_check(struct attachments *a, const struct net_inputs *in, bool programs);
/* False when somebody took a program away. */
bool attachments_whole(const struct attachments *a);
/* How often something was plugged in: what the kernel told before that is not true any more. */
uint64_t attachments_plugs(const struct attachments *a);
/* The next scan reads and plugs in all of them anew. */
void attachments_again(struct attachments *a);
/* A link is gone. */
void attachments_link_gone(struct attachments *a, uint32_t ifindex);

/* Grows with each change of the host ports. */
uint64_t attachments_port_changes(const struct attachments *a);
/* Borrowed until the next change. */
size_t attachments_places(struct attachments *a, const struct pod_place **ret);
size_t attachments_host_ports(struct attachments *a, const struct host_port **ret);
bool attachments_has_device(const struct attachments *a, const char *host_ifname);
bool attachments_has_index(const struct attachments *a, uint32_t ifindex);
/* Records that could not be read: it is not known whose devices those are that nobody claims. */
uint32_t attachments_unread(const struct attachments *a);
uint64_t attachments_failures(const struct attachments *a);
/* Clears entries of the map pods that no attachment has: of a former life. */
void attachments_prune(struct attachments *a);
