/* SPDX-License-Identifier: Apache-2.0 */
/* What PersistentVolumes and their claims share. */
#pragma once

#include "apiserver/ferr.h"

/* spec.accessModes: known ones, and ReadWriteOncePod alone. */
void check_access_modes(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec);
void check_volume_mode(struct ferrs *e, const struct fpath *p, const struct json_object *spec);
