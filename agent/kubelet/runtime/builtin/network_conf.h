/* SPDX-License-Identifier: Apache-2.0 */
/* The node's CNI configuration: the first file by name, looked at again whenever somebody asks and it has changed. */
#pragma once

#include <sys/stat.h>

#include "base/json.h"

struct pod_network_conf {
        const char *folder; /* borrowed */
        struct json_object *list;
        char problem[512];       /* why list is NULL */
        unsigned int generation; /* counts what was read */
        char *path;
        struct stat seen_folder, seen_file;
        bool settled;
};

void pod_network_conf_init(struct pod_network_conf *c, const char *folder);
void pod_network_conf_deinit(struct pod_network_conf *c);
/* The list of plugins, borrowed until the next call; NULL: problem says why. Costs two stats when nothing has changed.
 */
struct json_object *pod_network_conf_get(struct pod_network_conf *c);
