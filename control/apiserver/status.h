/* SPDX-License-Identifier: Apache-2.0 */
/* Errors as Kubernetes' Status objects: code, reason, message, details (apimachinery/pkg/api/errors). All functions
 * return API_ANSWERED. */
#pragma once

#include "apiserver/request.h"

struct status_cause {
        const char *reason, *message, *field;
};

struct status {
        int code;
        const char *reason; /* "NotFound"; NULL: by code */
        const char *message;
        const char *name, *group, *kind, *uid; /* details; kind is the plural for most reasons */
        const struct status_cause *causes;
        size_t ncauses;
        int retry_after_seconds;
        const char *continue_token; /* of a list that cannot go on at its revision: how to go on without it */
};

/* The object itself, for watch ERROR events and the like. */
struct json_object *status_object(const struct status *s);
/* The reason that goes with an HTTP status ("BadRequest"), "" when none does. */
const char *status_reason(int code);

int api_fail_status(struct api_request *req, const struct status *s);
/* The general form: the message and nothing else. */
int api_fail(struct api_request *req, int code, const char *fmt, ...) _printf_(3, 4);
int api_fail_not_found(struct api_request *req);   /* pods "x" not found */
int api_fail_no_resource(struct api_request *req); /* the server could not find the requested resource */
int api_fail_method(struct api_request *req);
/* more is added to the message */
int api_fail_exists(struct api_request *req, const char *name, const char *more);
int api_fail_exists_deleting(struct api_request *req, const char *name); /* as above, but it is going */
int api_fail_conflict(struct api_request *req, const char *fmt, ...) _printf_(2, 3);
int api_fail_forbidden(struct api_request *req, const char *name, const char *fmt, ...) _printf_(3, 4);
int api_fail_invalid(struct api_request *req, const char *name, const struct ferrs *errs);
int api_fail_gone(struct api_request *req, const char *fmt, ...) _printf_(2, 3);
/* A store result that is not 0: full, I/O error. */
int api_fail_store(struct api_request *req, int r, const struct err *err);
