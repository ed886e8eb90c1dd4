/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/openapi.h"
#include "apiserver/status.h"
#include "base/str.h"

bool openapi_handles(const char *path)
{
        return str_has_prefix(path, "/openapi/");
}

int openapi_answer(struct api_request *req)
{
        return api_fail_no_resource(req);
}
